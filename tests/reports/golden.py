"""The expected form of every document, as files to read; `python -m tests.reports.golden` writes them anew."""

import io
from pathlib import Path

import msgspec

from mailer.reports.document import report_document
from mailer.reports.tables import domain_table, reason_table, status_table
from mailer.reports.terminal import report_text
from tests.reports.writing import write_csv, write_json_lines

from .samples import CAMPAIGNS, NEXT_TRY, PAUSED, REPORT, ROWS

FOLDER = Path(__file__).parent / "golden"
NOTE = "report: ./autumn-offer-7f3c/report.html  .csv  .json"


def documents() -> dict[str, str]:
    """Every document as it is made now, by the name of its file."""
    csv, lines = io.StringIO(newline=""), io.StringIO()
    write_csv(ROWS, csv)
    write_json_lines(ROWS, lines)
    return {
        "terminal_100_columns.txt": report_text(REPORT, width=100, color=True, next_try=NEXT_TRY, note=NOTE) + "\n",
        "terminal_piped.txt": report_text(REPORT, width=110, next_try=NEXT_TRY, note=NOTE) + "\n",
        "terminal_48_columns.txt": report_text(REPORT, width=48, next_try=NEXT_TRY, note=NOTE) + "\n",
        "terminal_paused.txt": report_text(PAUSED, width=80) + "\n",
        "status.txt": status_table(CAMPAIGNS, width=80) + "\n",
        "reasons.txt": reason_table(REPORT, width=100) + "\n",
        "domains.txt": domain_table(REPORT, problems_first=True, width=100) + "\n",
        "report.json": msgspec.json.format(msgspec.json.encode(report_document(REPORT)), indent=2).decode() + "\n",
        "recipients.csv": csv.getvalue(),
        "recipients.jsonl": lines.getvalue(),
    }


def expected(name: str) -> str:
    """What the file says, line ends as they are."""
    return (FOLDER / name).read_bytes().decode()


if __name__ == "__main__":
    for name, text in documents().items():
        (FOLDER / name).write_bytes(text.encode())

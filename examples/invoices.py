"""An invoice run: each customer gets one message with an invoice of his own attached.

    python examples/invoices.py

The mail server is the one of MAILER_SMTP_URL; to try without one, `mailer capture` prints the variables to export.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from mailer import Campaign, MailerError

TEMPLATE = Path(__file__).resolve().parent.parent / "templates" / "invoice"
INVOICES = [
    {"email": "ap@north.example", "company": "North Ltd", "number": "2026-117", "amount": "120.00 EUR", "due": "1 Dec"},
    {"email": "hi@south.example", "company": "South Inc", "number": "2026-118", "amount": "80.50 EUR", "due": "1 Dec"},
]


def main() -> None:
    """Send them, and end with an error when one of them was not taken by the mail server."""
    # The files are copied into the queue, each content once. The folder is of no use any more when send() returns.
    with TemporaryDirectory() as folder:
        for invoice in INVOICES:
            write_pdf(Path(folder, "invoices", f"{invoice['number']}.pdf"), f"Invoice {invoice['number']}")
        try:
            report = Campaign(
                name="october-invoices",
                template=str(TEMPLATE),
                sender="Acme Billing <billing@acme.example>",
                subject="Invoice {{ number }} for {{ company }}",
                recipients=INVOICES,
                # Filled in for every row. When one file is missing, nobody gets anything; nothing outside of `folder`
                # is ever attached, whatever a row says.
                attachments=["invoices/{{ number }}.pdf"],
                folder=folder,
                # Started again, after a crash or by mistake, this sends only what has not been sent.
                key="invoices-2026-10",
            ).send()
            print(report)
            report.raise_for_status()
        except MailerError as error:
            sys.exit(f"{error.code}: {error.message}")


def write_pdf(path: Path, line: str) -> None:
    """Stands for your accounting program: a PDF of one page with one line on it."""
    shown = f"BT /F1 24 Tf 72 720 Td ({line}) Tj ET"
    objects = (
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] "
        "/Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(shown)} >>\nstream\n{shown}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    text, places = "%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(f"{len(text):010} 00000 n \n")
        text += f"{number} 0 obj\n{content}\nendobj\n"
    table = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{''.join(places)}"
    end = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(text)}\n%%EOF\n"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(f"{text}{table}{end}".encode("ascii"))


if __name__ == "__main__":
    main()

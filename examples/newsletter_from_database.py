"""A newsletter to everybody in a database who asked for it; whose address does not exist any more is marked there.

    python examples/newsletter_from_database.py [subscribers.sqlite]

The mail server is the one of MAILER_SMTP_URL; to try without one, `mailer capture` prints the variables to export.
"""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from mailer import Campaign, sources

TEMPLATE = Path(__file__).resolve().parent.parent / "templates" / "newsletter"
SUBSCRIBERS = [
    ("ann@example.com", "Ann", "k7f3", 1),
    ("bob@example.com", "Bob", "p2mc", 1),
    # The server of `mailer capture` and `mailer demo` refuses this one with 550, as if nobody had that address.
    ("bounce+550@example.com", "Zoe", "x9ah", 1),
    ("former@example.com", "Kim", "q4tz", 0),
]


def main(database: str) -> None:
    """Send it, show the report, and mark the addresses that do not exist any more."""
    with closing(sqlite3.connect(database)) as connection:
        fill(connection)
        report = Campaign(
            name="autumn-issue",
            template=str(TEMPLATE),
            sender="Acme News <news@acme.example>",
            # Rows are fetched in batches while messages are being made: the table may have millions of them.
            recipients=sources.query(
                connection, "select email, first_name, code from subscribers where active = ? order by email", [1]
            ),
            # Large receivers want a way out in the header of every newsletter (RFC 8058), not only in its text.
            unsubscribe_url="https://news.acme.example/unsubscribe/{{ code }}",
            # A cursor has no content that could be recognised, so the key alone says that this is the same issue.
            key="newsletter-2026-autumn",
        ).send()
        print(report)
        for address, (code, text) in report.refused.items():
            print(address, code, text)
            # A 5.1.x says that there is no such mailbox. Other refusals are about us, or will pass.
            if text.startswith("5.1."):
                connection.execute("update subscribers set active = 0 where email = ?", [address])
        connection.commit()


def fill(connection: sqlite3.Connection) -> None:
    """Stands for your database: make a small one where there is none."""
    connection.execute("create table if not exists subscribers (email, first_name, code, active)")
    if connection.execute("select count(*) from subscribers").fetchone() == (0,):
        connection.executemany("insert into subscribers values (?, ?, ?, ?)", SUBSCRIBERS)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else ":memory:")

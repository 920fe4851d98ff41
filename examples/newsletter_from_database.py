"""A newsletter to everybody in a database who asked for it. Running it twice sends once.

    python examples/newsletter_from_database.py subscribers.sqlite

The mail server is the one of MAILER_SMTP_URL; to try without one, `mailer capture` prints the variables to export.
"""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from mailer import Campaign, sources


def main(database: str) -> None:
    """Send it, show the report, and mark the addresses that do not exist any more."""
    with closing(sqlite3.connect(database)) as connection:
        report = Campaign(
            name="autumn-issue",
            template="newsletter",
            folder=Path(__file__).parent,
            sender="Acme News <news@acme.example>",
            recipients=sources.query(connection, "select email, name from subscribers where active = ?", [1]),
            key="newsletter-2026-autumn",
        ).send()
        print(report)
        for address, (code, text) in report.refused.items():
            print(address, code, text)
            connection.execute("update subscribers set active = 0 where email = ?", [address])
        connection.commit()


if __name__ == "__main__":
    main(sys.argv[1])

"""Invoices from a plain list: exits with an error when one of them was not taken by the mail server.

python examples/invoices.py
"""

import sys
from pathlib import Path

from mailer import Campaign, MailerError

INVOICES = [
    {"email": "ap@north.example", "company": "North Ltd", "number": "2026-117", "amount": "120.00 EUR", "due": "1 Dec"},
    {
        "email": "office@south.example",
        "company": "South Inc",
        "number": "2026-118",
        "amount": "80.50 EUR",
        "due": "1 Dec",
    },
]


def main() -> None:
    """Send them; each address gets one message, whatever happens."""
    try:
        report = Campaign(
            name="october-invoices",
            template="invoice",
            folder=Path(__file__).parent,
            sender="Acme Billing <billing@acme.example>",
            subject="Invoice {{ number }} for {{ company }}",
            recipients=INVOICES,
            key="invoices-2026-10",
        ).send()
        print(report)
        report.raise_for_status()
    except MailerError as error:
        sys.exit(f"{error.code}: {error.message}")


if __name__ == "__main__":
    main()

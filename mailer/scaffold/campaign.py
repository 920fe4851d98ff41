# /// script
# requires-python = ">=3.11"
# dependencies = [
#     # For `uv run campaign.py`: the folder of your clone. (In the public index, "mailer" is another project.)
#     # "mailer[embedded] @ file:///home/you/mailer",
# ]
# ///
"""The campaign of mailer.toml as a script: python campaign.py.

It sends what `mailer send` sends, and does not ask. Whoever has got it from one of the two gets nothing from the other.
"""

import sys
from pathlib import Path

from mailer import Campaign, MailerError

FILE = Path(__file__).with_name("mailer.toml")


def main() -> None:
    """Send the campaign, print the report, and exit with an error when somebody did not get it."""
    try:
        # The list may come from anywhere: recipients=rows, where rows is any iterable of dicts, such as a database
        # cursor. Then set `key` in mailer.toml, so that running twice sends once.
        report = Campaign.from_toml(FILE).send()
        print(report)
        for address, (code, text) in report.refused.items():
            print(f"{address} was refused: {code} {text}")
        report.raise_for_status()
    except MailerError as error:
        print(f"error[{error.code}]: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  fix: {error.hint}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()

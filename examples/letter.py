"""A letter in one file, in the form of mailmerge: headers, an empty line, the body.

    python examples/letter.py

The same from the command line: mailer send examples/letter/invitation.txt --recipients examples/letter/people.csv
The mail server is the one of MAILER_SMTP_URL; to try without one, `mailer capture` prints the variables to export.
"""

from pathlib import Path

from mailer import Campaign


def main() -> None:
    """Send it to everybody in people.csv, and show what became of it."""
    report = Campaign(
        # To, From, Cc, Subject and Attachment stand in the letter itself, and may use the columns of the list.
        template="invitation.txt",
        recipients="people.csv",
        folder=Path(__file__).resolve().parent / "letter",
        # As mailmerge does: who stands in the list twice gets two letters.
        duplicates="keep",
    ).send()
    print(report)


if __name__ == "__main__":
    main()

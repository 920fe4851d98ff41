"""The message as tutorials build it: Jinja2 for the parts, `email.message.EmailMessage` around them."""

import csv
from collections.abc import Iterator, Mapping
from email.message import EmailMessage
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks.letter import SENDER


class Book:
    """Builds the letter of `folder` for a row."""

    def __init__(self, folder: Path) -> None:
        # The HTML part needs escaping and the others must not have it: two environments, one template each.
        loader = FileSystemLoader(folder / "templates" / "letter")
        plain = Environment(loader=loader, undefined=StrictUndefined, autoescape=False)  # noqa: S701 (text parts)
        escaping = Environment(loader=loader, undefined=StrictUndefined, autoescape=True)
        self._subject = plain.get_template("subject.txt.j2")
        self._text = plain.get_template("body.txt.j2")
        self._html = escaping.get_template("body.html.j2")

    def message(self, row: Mapping[str, str]) -> EmailMessage:
        """One message."""
        message = EmailMessage()
        message["From"] = SENDER
        message["To"] = row["email"]
        message["Subject"] = self._subject.render(row).strip()
        message.set_content(self._text.render(row))
        message.add_alternative(self._html.render(row), subtype="html")
        return message


def rows(folder: Path) -> Iterator[dict[str, str]]:
    """The list, as dicts."""
    with (folder / "recipients.csv").open(newline="") as file:
        yield from csv.DictReader(file)


def constant(folder: Path) -> bytes:
    """The first recipient's message as a file, with plain line ends."""
    return Book(folder).message(next(rows(folder))).as_bytes()

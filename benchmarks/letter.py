"""The letter of every measurement: one template with a few variables, a list of people, a size in bytes."""

import csv
import random
import textwrap
from collections.abc import Iterator
from pathlib import Path

SENDER = "Acme News <news@acme.example>"
COLUMNS = ("email", "first_name", "company", "code", "amount")
TEXT_SHARE = 0.2
OVERHEAD = 900
"""Bytes of headers and of what stands around the paragraphs."""
DOMAINS = 500

SUBJECT = "{{ first_name }}, your autumn offer for {{ company }}\n"

TEXT = """\
Dear {{ first_name }},

your personal code for {{ company }} is {{ code }}, worth {{ amount }} EUR.

@paragraphs@

Kind regards
Acme
"""

HTML = """\
<!DOCTYPE html>
<html lang="en">
<head><title>Autumn offer</title></head>
<body style="font-family: sans-serif">
<p>Dear {{ first_name }},</p>
<p>your personal code for <b>{{ company }}</b> is <code>{{ code }}</code>, worth {{ amount }} EUR.</p>
@paragraphs@
<p>Kind regards, {{ first_name }}!<br>Acme</p>
</body>
</html>
"""

_WORDS = """
the of autumn price order offer delivery garden paper winter lamp table basket morning ship harbour quiet yellow open
small every house window street letter number season market water stone bread wood
"""


def write(folder: Path, *, messages: int, size: int) -> None:
    """Write `templates/letter/` and `recipients.csv`; a finished message has about `size` bytes."""
    template = folder / "templates" / "letter"
    template.mkdir(parents=True, exist_ok=True)
    room = max(0, size - OVERHEAD)
    (template / "subject.txt.j2").write_text(SUBJECT)
    (template / "body.txt.j2").write_text(TEXT.replace("@paragraphs@", _text(int(room * TEXT_SHARE))))
    (template / "body.html.j2").write_text(HTML.replace("@paragraphs@", _html(int(room * (1 - TEXT_SHARE)))))
    with (folder / "recipients.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(people(messages))


def people(count: int) -> Iterator[tuple[str, ...]]:
    """Rows of the list, always the same ones."""
    # Reproducible, and of no use to anybody as a secret.
    chance = random.Random(1870)  # noqa: S311 (reproducible rows, no secret)
    for number in range(1, count + 1):
        code = f"{chance.getrandbits(48):012X}"
        amount = f"{chance.randrange(500, 50_000) / 100:.2f}"
        email = f"person{number}@customer{number % DOMAINS}.example"
        yield email, f"Person {number}", f"Company {number % DOMAINS}", code, amount


def _paragraphs(room: int, width: int, frame: int) -> Iterator[str]:
    chance = random.Random(821)  # noqa: S311 (reproducible text, no secret)
    while room > 0:
        words = " ".join(chance.choices(_WORDS.split(), k=80))
        paragraph = textwrap.fill(words, width)[: max(1, room - frame)]
        room -= len(paragraph) + frame
        yield paragraph


def _text(room: int) -> str:
    return "\n\n".join(_paragraphs(room, 72, 2))


def _html(room: int) -> str:
    opening = '<p style="margin: 0 0 16px; color: #333">'
    return "\n".join(f"{opening}\n{words}\n</p>" for words in _paragraphs(room, 90, len(opening) + 7))

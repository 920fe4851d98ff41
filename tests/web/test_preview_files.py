"""The files that a preview follows: the list, the template to its last include, and what is attached."""

import asyncio
from pathlib import Path

import pytest

from mailer.cli.invocation import Invocation
from mailer.cli.preview import _Campaign, preview_campaign
from mailer.cli.send_flags import SendFlags
from mailer.vocabulary.errors import UsageError
from mailer.web.watching import stamps
from tests.diagnosis.command_line import CommandLine

LETTER = """\
Subject: Hello {{ name }}
From: news@acme.example
To: {{ email }}
Attachment: terms.txt
Attachment: invoices/{{ number }}.pdf

{% include "parts/greeting.txt" %}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a letter with all that it is made of."""
    monkeypatch.chdir(tmp_path)
    for folder in ("parts", "invoices"):
        (tmp_path / folder).mkdir()
    for name, text in {
        "letter.txt": LETTER,
        "parts/greeting.txt": '{%- import "parts/names.txt" as names -%}Dear {{ name }},\n',
        "parts/names.txt": "{% set kind = 1 %}",
        "terms.txt": "terms",
        "invoices/117.pdf": "%PDF-1.7",
        "people.csv": "email,name,number\nann@example.com,Ann,117\n",
        "unrelated.txt": "x",
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def followed(place: Path, *, campaign: str | None = None, flags: SendFlags) -> set[str]:
    """What a change to would be noticed, by name."""
    environ = {"HOME": str(place), "MAILER_DATA_DIR": str(place / "data")}
    found = _Campaign(Invocation(environ=environ), Path(campaign) if campaign else None, flags)
    return {str(Path(name).resolve().relative_to(place.resolve())) for name, _, _ in stamps(found.files())}


def test_a_letter_is_followed_to_its_last_include_and_attachment(place: Path) -> None:
    everything = {"letter.txt", "parts/greeting.txt", "parts/names.txt", "terms.txt", "invoices/117.pdf", "people.csv"}
    flags = SendFlags(recipients="people.csv")
    assert followed(place, campaign="letter.txt", flags=flags) == everything
    (place / "invoices" / "118.pdf").write_text("another")
    (place / "parts" / "greeting.txt").write_text("{% if %}")
    everything = {*everything, "invoices/118.pdf"} - {"parts/names.txt"}
    assert followed(place, campaign="letter.txt", flags=flags) == everything


def test_parts_that_include_each_other_are_followed_once(place: Path) -> None:
    (place / "parts" / "names.txt").write_text('{% include "parts/greeting.txt" %}{% include "gone.txt" %}')
    assert "parts/names.txt" in followed(place, campaign="letter.txt", flags=SendFlags(recipients="people.csv"))


@pytest.mark.parametrize("spec", ["campaign.py:rows", "people.csv", "odd#name.csv"])
def test_the_file_of_the_list_is_followed_whatever_stands_behind_it(place: Path, spec: str) -> None:
    (place / "campaign.py").write_text('rows = [{"email": "ann@example.com", "name": "Ann", "number": 1}]\n')
    (place / "odd#name.csv").write_text("email,name,number\nann@example.com,Ann,1\n")
    name = spec.partition(":")[0]
    assert name in followed(place, campaign="letter.txt", flags=SendFlags(recipients=spec))


def test_the_attachments_of_the_settings_are_followed(place: Path) -> None:
    folder = place / "templates" / "hello"
    folder.mkdir(parents=True)
    (folder / "body.txt.j2").write_text("Hello\n")
    (place / "mailer.toml").write_text(
        '[campaign]\ntemplate = "hello"\nsender = "news@acme.example"\nrecipients = "people.csv"\n'
        'attachments = ["terms.txt", "invoices/{{ number }}.pdf"]\n'
    )
    expected = {"mailer.toml", "people.csv", "templates/hello/body.txt.j2", "terms.txt", "invoices/117.pdf"}
    assert followed(place, flags=SendFlags()) == expected


async def test_a_letter_and_a_list_are_previewed_as_they_are_sent(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "people.list").write_text("email;name;number\nann@example.com;Ann;117\n")
    words = ("letter.txt", "--recipients", "people.list", "--delimiter", ";", "--recipients-format", "csv")
    done = await CommandLine(capsys)("preview", *words, "--print")
    assert (done.code, done.err) == (0, "")
    assert "Subject: Hello Ann\n" in done.out
    assert "Dear Ann," in done.out


async def test_the_page_does_not_begin_with_a_list_that_it_cannot_read_again(place: Path) -> None:
    invocation = Invocation(environ={"HOME": str(place)})
    flags = SendFlags(recipients="-")
    command = preview_campaign(invocation, Path("letter.txt"), flags, row=1, opens=False, prints=False, eml=None)
    with pytest.raises(UsageError) as caught:
        await asyncio.wait_for(command, 10)
    assert caught.value.code == "E101"
    assert "--print" in (caught.value.hint or "")

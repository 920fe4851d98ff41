"""`mailer init`: a campaign that works as it stands, written whole or not at all."""

import os
import re
import tomllib
from pathlib import Path

import pytest

from mailer.capture.server import CaptureServer
from mailer.cli.init import FILES, NEXT, campaign_name, scaffold
from mailer.cli.placing import place as place_files
from mailer.config.keys import KEYS
from mailer.config.loading import load
from mailer.testing import Outbox
from mailer.vocabulary.errors import UsageError
from tests.cli.running import ROOT, Warm
from tests.diagnosis.command_line import CommandLine


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_it_writes_these_files_and_says_how_to_go_on(mailer: CommandLine, place: Path) -> None:
    done = await mailer("init", "my-campaign")
    assert done.code == 0
    assert done.out.splitlines() == [f"my-campaign/{name}" for name in FILES]
    assert sorted(tree(place / "my-campaign")) == sorted(FILES)
    steps = [line.split("  ")[1] for line in done.err.splitlines() if line.startswith("  ")]
    assert steps == ["cd my-campaign", *(command for command, _ in NEXT)]
    verbs = [command.split()[1] for command, _ in NEXT]
    assert verbs == ["preview", "check", "doctor", "send", "send", "report"]


async def test_a_script_gets_the_files_and_the_commands_as_one_document(mailer: CommandLine) -> None:
    done = await mailer("init", "--json")
    assert (done.code, done.err) == (0, "")
    assert done.document == {
        "schema_version": 1,
        "folder": ".",
        "files": list(FILES),
        "next": [command for command, _ in NEXT],
    }


async def test_what_it_writes_passes_the_check_and_the_dry_run(mailer: CommandLine, place: Path) -> None:
    await mailer("init", "news")
    checked = await mailer("check", "news")
    assert (checked.code, checked.out, checked.err) == (0, "3 rows, no problems\n", "Nothing was sent.\n")
    dry = await mailer("send", "news", "--dry-run", "--json")
    assert (dry.code, dry.document["rows"], dry.document["buildable"]) == (0, 3, 3)


def test_the_scaffold_is_made_of_comments_and_example_addresses() -> None:
    folder = ROOT / "mailer" / "scaffold"
    assert sorted(name for name in tree(folder) if "__pycache__" not in name) == sorted(FILES)
    for name in FILES:
        text = (folder / name).read_text(encoding="utf-8")
        assert name == "recipients.csv" or "#" in text
        assert max(map(len, text.splitlines())) <= 120
        domains = set(re.findall(r"\w@([\w.-]+\w)", text))
        assert domains <= {"acme.example", "smtp.acme.example", "example.com", "gmail.com", "HOST"}, name


def commented_settings() -> list[tuple[str, str]]:
    """Each line of the scaffold's mailer.toml that waits behind a #: under which heading, and the line."""
    found, section, heading = [], "", ""
    for line in (ROOT / "mailer" / "scaffold" / "mailer.toml").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section, heading = line, ""
        elif re.match(r"# \w+ = ", line):
            found.append((heading, f"{section}\n{line[2:]}"))
        elif line.startswith("# ") and line.rstrip().endswith(":"):
            heading = line
    return found


@pytest.mark.parametrize(("heading", "line"), commented_settings())
def test_every_setting_behind_a_comment_sign_is_one(heading: str, line: str, place: Path) -> None:
    parsed = tomllib.loads(line)
    ((section, values),) = parsed.items()
    ((name, value),) = values.items()
    assert f"{section}.{name}" in KEYS
    more = '\nprovider = "gmail"' if name == "user" else '\nuser = "a@b.example"' if name == "provider" else ""
    (place / "mailer.toml").write_text(f"{line}{more}\n", encoding="utf-8")
    loaded = load(None, environ={})
    if heading == "# Defaults:":
        settings = getattr(loaded, section)
        assert getattr(settings, name) == KEYS[f"{section}.{name}"], f"{value!r} is not the default"
    else:
        assert heading in ("# Examples:", "# Examples; {{ … }} is filled in from the row, as in the templates:") or (
            heading == "# Instead of the url:"
        )


async def test_every_template_value_behind_a_comment_sign_renders(mailer: CommandLine, place: Path) -> None:
    await mailer("init")
    file = place / "mailer.toml"
    in_force = re.sub(
        r"^# (?=(?:to|subject|reply_to|cc|bcc|envelope_sender|list_id|unsubscribe_url|headers|key) = )",
        "",
        file.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    file.write_text(in_force, encoding="utf-8")
    done = await mailer("check")
    assert (done.code, "no problems" in done.out) == (0, True)


async def test_the_campaign_is_called_as_its_folder(mailer: CommandLine, place: Path) -> None:
    await mailer("init", "Rundbrief für März")
    written = tomllib.loads((place / "Rundbrief für März" / "mailer.toml").read_text(encoding="utf-8"))
    assert written["campaign"]["name"] == "Rundbrief-fur-Marz"


@pytest.mark.parametrize(
    ("folder", "name"),
    [("news", "news"), ("a_b.c", "a-b-c"), ("письма", "campaign"), ("-x-", "x"), ("n" * 63 + " x", "n" * 63)],
)
def test_any_folder_gives_a_campaign_name(folder: str, name: str) -> None:
    assert campaign_name(Path(folder)) == name


async def test_it_overwrites_nothing_and_then_writes_nothing(mailer: CommandLine, place: Path) -> None:
    (place / "recipients.csv").write_text("email\nmine@example.com\n")
    done = await mailer("init")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error[E135]: recipients.csv is there already\n")
    assert "Nothing was written." in done.err
    assert list(tree(place)) == ["recipients.csv"]


async def test_force_overwrites_its_own_files_and_no_others(mailer: CommandLine, place: Path) -> None:
    (place / "notes.txt").write_text("mine")
    (place / "recipients.csv").write_text("email\nmine@example.com\n")
    assert (await mailer("init", "--force")).code == 0
    assert "ann@example.com" in (place / "recipients.csv").read_text()
    assert sorted(tree(place)) == sorted([*FILES, "notes.txt"])
    assert (place / "notes.txt").read_text() == "mine"


async def test_a_folder_with_other_things_in_it_is_welcome(mailer: CommandLine, place: Path) -> None:
    (place / "templates" / "other").mkdir(parents=True)
    assert (await mailer("init")).code == 0
    assert (place / "templates" / "hello" / "body.txt.j2").exists()
    assert (place / "templates" / "other").is_dir()


@pytest.mark.parametrize("force", [False, True])
def test_half_a_campaign_is_never_left(place: Path, force: bool) -> None:
    (place / "old" / "z").mkdir(parents=True)
    (place / "old" / "a").write_text("before")
    before = tree(place)
    # A folder has the name of the last file: what was written and moved until then goes back.
    files = {"old/a": "after", "new/b": "after", "old/z": "after"}
    with pytest.raises(UsageError) as raised:
        place_files(place, files, force=force)
    assert raised.value.code == ("E112" if force else "E135")
    assert tree(place) == before
    assert sorted(path.name for path in place.rglob("*")) == ["a", "old", "z"]


async def test_a_file_in_the_place_of_the_folder_is_an_error(mailer: CommandLine, place: Path) -> None:
    (place / "news").write_text("mine")
    done = await mailer("init", "news", "--json")
    assert (done.code, done.out) == (2, "")
    assert (place / "news").read_text() == "mine"


@pytest.mark.thorough
def test_the_script_sends_what_the_command_sends_and_nobody_gets_it_twice(
    place: Path, smtp_capture: CaptureServer, outbox: Outbox, warm: Warm
) -> None:
    def run(*words: str, folder: Path = place) -> str:
        code, out, err = warm.run(words, folder, {**os.environ, "PYTHONPATH": str(ROOT)})
        assert code == 0, err
        return out

    place_files(place / "news", scaffold("news"), force=False)
    assert "sent" in run("news/campaign.py")
    assert smtp_capture.mailbox.accepted == 3
    assert {str(message["Subject"]) for message in outbox} == {"Hello Ann", "Hello Bob", "Hello Zoë"}
    run("send", "--yes", folder=place / "news")
    run("campaign.py", folder=place / "news")
    assert smtp_capture.mailbox.accepted == 3


def test_the_script_says_where_mailer_comes_from_and_asks_no_index_for_it() -> None:
    script = (ROOT / "mailer" / "scaffold" / "campaign.py").read_text(encoding="utf-8")
    header = script.split("# /// script\n")[1].split("# ///\n")[0]
    metadata = tomllib.loads("".join(line[2:] + "\n" for line in header.splitlines()))
    assert metadata == {"requires-python": ">=3.11", "dependencies": []}
    assert '"mailer[embedded] @ file:///home/you/mailer"' in header

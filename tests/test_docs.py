"""The documentation: what it links is there, what it types exists, and the reference is what the code says."""

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Every fenced block of one language, with its page."""
    for page in PAGES:
        for found, text in FENCE.findall(page.read_text(encoding="utf-8")):
            if found == language:
                yield page.name, text


def commands() -> list[str]:
    """Every line that the pages tell to type and that begins with mailer."""
    lines = [line.removeprefix("$ ") for _, text in blocks("console") for line in text.splitlines() if line[:2] == "$ "]
    return sorted({line.partition(" > ")[0] for line in lines if line.startswith("mailer ")})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """A file of the repository, or a heading in one."""
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if ":" in target:
            continue
        name, _, heading = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        if heading:
            titles = HEADING.findall(file.read_text(encoding="utf-8"))
            assert heading in [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles], target


@cache
def group() -> Any:
    """The command with all its commands."""
    from typer.main import get_command

    from mailer.cli import app as _filled  # noqa: F401 (fills the table)
    from mailer.cli.registry import app

    return get_command(app)


@pytest.mark.parametrize("line", commands())
def test_every_command_that_is_told_exists_with_its_flags(line: str) -> None:
    """Each flag is one of the command's own, or one of every command."""
    from mailer.cli.manual import EVERYWHERE

    words = shlex.split(line)[1:]
    if words[0].startswith("-"):
        return
    command = group().commands[words.pop(0)]
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    known |= {name for flags in EVERYWHERE for name in re.findall(r"--?[a-z-]+", flags)}
    assert {word.partition("=")[0] for word in words if word.startswith("-")} <= known


@pytest.mark.parametrize(("page", "text"), [*blocks("python")])
def test_every_piece_of_python_compiles(page: str, text: str) -> None:
    compile(text, page, "exec")


@pytest.mark.parametrize(("page", "text"), [*blocks("toml")])
def test_every_piece_of_toml_names_settings_that_there_are(page: str, text: str) -> None:
    from mailer.config.keys import KEYS

    tables = tomllib.loads(text)
    for section, settings in tables.items():
        # A line that is shown without its table belongs to `[campaign]`.
        names = settings if isinstance(settings, dict) else {section: settings}
        for name in names:
            assert f"{section if isinstance(settings, dict) else 'campaign'}.{name}" in KEYS, (page, section, name)


def test_the_reference_is_what_the_code_says() -> None:
    """`python docs/reference.py` writes it."""
    told = subprocess.run([sys.executable, ROOT / "docs" / "reference.py", "--check"], check=False)
    assert told.returncode == 0, "python docs/reference.py"

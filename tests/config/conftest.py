"""A folder of its own for every test of the configuration, and a search for secrets in an error."""

import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from mailer.vocabulary.errors import UsageError

Write = Callable[[str, str], Path]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


@pytest.fixture
def write(folder: Path) -> Write:
    """Write a file below the current folder; gives its path as a user would name it."""

    def write(name: str, text: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return Path(name)

    return write


@pytest.fixture
def everything_about() -> Callable[[UsageError], str]:
    """All that a log, a JSON document or a traceback could show of an error, and of the exceptions behind it."""

    def everything_about(error: UsageError) -> str:
        shown = [repr(vars(error)), repr(error), "".join(traceback.format_exception(error))]
        behind = error.__cause__ or error.__context__
        while behind is not None:
            shown.append(repr(behind) + repr(vars(behind)))
            behind = behind.__cause__ or behind.__context__
        return "".join(shown)

    return everything_about

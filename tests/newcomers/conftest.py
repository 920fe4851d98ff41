"""A newcomer's place: an empty folder, and an environment that knows nothing of mailer."""

import os
from pathlib import Path

import pytest

from mailer.testing import outbox, smtp_capture
from tests.diagnosis.command_line import CommandLine

__all__ = ["outbox", "smtp_capture"]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of the test."""
    for name in list(os.environ):
        if name.startswith(("MAILER_", "XDG_")) or name in ("FORCE_COLOR", "NO_COLOR"):
            monkeypatch.delenv(name)
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")
    return folder


@pytest.fixture
def mailer(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)

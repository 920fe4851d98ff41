"""A clean place to run commands from."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.diagnosis.command_line import CommandLine


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and an environment that knows nothing of mailer."""
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


Names = Callable[..., None]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """A name server of the test's own: `names("smtp.gmail.com")` leads to this machine, any other name to nobody."""

    def know(*known: str) -> None:
        ask = socket.getaddrinfo

        def answer(host: Any, port: Any, *rest: Any, **options: Any) -> Any:
            if host in known:
                host = "127.0.0.1"
            elif isinstance(host, str) and not host.replace(".", "").isdigit():
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return ask(host, port, *rest, **options)

        monkeypatch.setattr(socket, "getaddrinfo", answer)

    return know

"""A desk of one test: a folder with a template, a mail server that keeps everything, a queue of its own."""

from pathlib import Path

import pytest

from mailer.testing import memory_mailer, outbox, smtp_capture

__all__ = ["desk", "memory_mailer", "outbox", "smtp_capture"]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of the test, with the template `hello`."""
    template = tmp_path / "templates" / "hello"
    template.mkdir(parents=True)
    (template / "subject.txt.j2").write_text("Hello {{ name }}")
    (template / "body.txt.j2").write_text("Dear {{ name }}, this is number {{ row }}.\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def people(count: int) -> list[dict[str, object]]:
    """So many recipients whom the capture server takes."""
    return [{"email": f"p{number}@example.com", "name": f"P{number}"} for number in range(1, count + 1)]

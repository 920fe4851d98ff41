"""The API as a stranger meets it: what it loads, what it gives to other people's tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import mailer

ROOT = Path(__file__).parent.parent.parent


def test_importing_loads_nothing_and_the_first_use_only_what_it_needs() -> None:
    script = """
import sys, mailer
own = {name for name in sys.modules if name.startswith("mailer.")}
assert not own, own
assert mailer.__version__
mailer.MailerError
heavy = {"arq", "redis", "pydantic", "pydantic_settings", "jinja2", "aiosmtplib", "rich", "typer"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_every_public_name_is_there() -> None:
    for name in mailer.__all__:
        assert getattr(mailer, name) is not None
    assert set(mailer.__all__) <= set(dir(mailer))
    assert not hasattr(mailer, "nothing_of_this_name")


OTHERS_TEST = """
import pytest

from mailer import Campaign

def test_ours(smtp_capture, outbox, tmp_path):
    template = tmp_path / "hello"
    template.mkdir()
    (template / "subject.txt.j2").write_text("Hi")
    (template / "body.txt.j2").write_text("Dear {{ name }}")
    rows = [{"email": "ann@example.com", "name": "Ann"}]
    assert len(outbox) == 0
    Campaign(template="hello", folder=tmp_path, sender="us@acme.example", recipients=rows).send()
    assert [message["To"] for message in outbox] == ["ann@example.com"]
    assert outbox[-1].get_body().get_content().strip() == "Dear Ann"
    assert smtp_capture.mailbox.accepted == 1
"""

IN_MEMORY = """
from mailer import Campaign, Mailer
from mailer.testing import MemoryMailer

def send_news(folder):
    rows = [{"email": "ann@example.com", "name": "Ann"}, {"email": "bob@example.com", "name": "Bob"}]
    return Campaign(template="hello", folder=folder, sender="us@acme.example", recipients=rows).send()

def test_ours(memory_mailer, tmp_path):
    template = tmp_path / "hello"
    template.mkdir()
    (template / "subject.txt.j2").write_text("Hi")
    (template / "body.txt.j2").write_text("Dear {{ name }}")
    memory_mailer.refuse("bob@example.com", 550, "5.1.1 unknown user")
    report = send_news(tmp_path)
    assert report.refused == {"bob@example.com": (550, "5.1.1 unknown user")}
    assert [message["To"] for message in memory_mailer.outbox] == ["ann@example.com"]
    assert isinstance(memory_mailer, MemoryMailer)
    assert Mailer.from_env().campaign().report().totals.sent == 1
"""


@pytest.mark.thorough
def test_the_fixtures_serve_other_peoples_tests(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["mailer.testing"]\n')
    (tmp_path / "test_ours.py").write_text(OTHERS_TEST + OTHERS_TEST.replace("test_ours", "test_again"))
    (tmp_path / "test_in_memory.py").write_text(IN_MEMORY)
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    environ = {name: value for name, value in environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout

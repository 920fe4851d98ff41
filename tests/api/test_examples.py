"""The examples run as they are, each as a program of its own, against the capture server."""

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mailer.capture.server import CaptureServer
from mailer.testing import Outbox

ROOT = Path(__file__).parent.parent.parent


def run(script: str, *arguments: str, folder: Path) -> str:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(folder / "config")}
    command = [sys.executable, str(ROOT / "examples" / script), *arguments]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_newsletter_from_a_database_is_sent_once_and_marks_dead_addresses(
    tmp_path: Path, smtp_capture: CaptureServer
) -> None:
    with closing(sqlite3.connect(tmp_path / "people.sqlite")) as database:
        database.execute("create table subscribers (email text, name text, active integer)")
        rows = [("ann@example.com", "Ann", 1), ("bounce+550@example.com", None, 1), ("gone@example.com", "Gone", 0)]
        database.executemany("insert into subscribers values (?, ?, ?)", rows)
        database.commit()
        out = run("newsletter_from_database.py", "people.sqlite", folder=tmp_path)
        active = database.execute("select email from subscribers where active = 1").fetchall()
        assert "Delivery report  autumn-issue-" in out
        assert "bounce+550@example.com 550 5.1.1" in out
        assert active == [("ann@example.com",)]
        run("newsletter_from_database.py", "people.sqlite", folder=tmp_path)
    assert smtp_capture.mailbox.accepted == 1


def test_invoices_from_a_plain_list_each_reach_their_customer(
    tmp_path: Path, smtp_capture: CaptureServer, outbox: Outbox
) -> None:
    assert "sent" in run("invoices.py", folder=tmp_path)
    run("invoices.py", folder=tmp_path)
    assert sorted(str(message["Subject"]) for message in outbox) == [
        "Invoice 2026-117 for North Ltd",
        "Invoice 2026-118 for South Inc",
    ]


def test_an_asynchronous_script_hears_refusals_and_saves_its_report(
    tmp_path: Path, smtp_capture: CaptureServer
) -> None:
    out = run("async_script.py", "out", folder=tmp_path)
    assert out.splitlines()[0].startswith("bounce+550@example.com 550 5.1.1")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report.csv", "report.html", "report.json"]
    assert smtp_capture.mailbox.accepted == 30


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_examples_of_the_page_about_scripts_run(
    tmp_path: Path, smtp_capture: CaptureServer, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    page = (ROOT / "docs" / "scripts.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    script = next(block for block in blocks[number:])
    (tmp_path / "templates").symlink_to(ROOT / "examples" / "templates")
    (tmp_path / "customers.csv").write_text("email,company,number,amount,due\nap@north.example,North,117,120,1 Dec\n")
    (tmp_path / "mailer.toml").write_text(
        '[campaign]\ntemplate = "invoice"\nsender = "a@acme.example"\nrecipients = "customers.csv"\n'
    )
    (tmp_path / "script.py").write_text(script)
    with closing(sqlite3.connect(tmp_path / "people.sqlite")) as database:
        database.execute("create table subscribers (email text, name text, active integer)")
        database.execute("insert into subscribers values ('ann@example.com', 'Ann', 1)")
        database.commit()
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    command = [sys.executable, "script.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert smtp_capture.mailbox.accepted == 1


def test_the_readme_shows_a_script_that_runs(tmp_path: Path, smtp_capture: CaptureServer) -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("\n### From Python\n")[1].split("\n## ")[0]
    (tmp_path / "templates").symlink_to(ROOT / "examples" / "templates")
    (tmp_path / "customers.csv").write_text("email,company,number,amount,due\nap@north.example,North,117,120,1 Dec\n")
    (tmp_path / "script.py").write_text(section.split("```python\n")[1].split("```")[0])
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    command = [sys.executable, "script.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Delivery report" in done.stdout

"""The README's commands do what it says, as they stand."""

import asyncio
import os
import pty
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mailer.capture.server import CaptureServer

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(section: str, language: str) -> list[str]:
    """The code blocks of one language below a heading, up to the next heading of its rank."""
    rank = section.split(" ")[0]
    body = README.split(f"\n{section}\n", 1)[1]
    body = re.split(rf"\n#{{1,{len(rank)}}} ", body)[0]
    return re.findall(rf"```{language}\n(.*?)```", body, re.DOTALL)


def commands(section: str) -> list[str]:
    return [line[2:] for block in blocks(section, "console") for line in block.splitlines() if line.startswith("$ ")]


@contextmanager
def capture_server(folder: Path) -> Iterator[CaptureServer]:
    """A capture server in a thread of its own."""
    ready, over = threading.Event(), asyncio.Event()
    found: list[CaptureServer] = []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with CaptureServer(folder, port=0) as server:
            found.append(server)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[tuple[Path, dict[str, str], CaptureServer]]:
    """An empty folder, a `mailer` on the path, and a mail server that keeps everything."""
    tools = tmp_path / "bin"
    tools.mkdir()
    command = tools / "mailer"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m mailer "$@"\n')
    command.chmod(0o755)
    folder = tmp_path / "work"
    folder.mkdir()
    with tempfile.TemporaryDirectory() as state, capture_server(tmp_path / "capture") as server:
        environ = {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "PYTHONPATH": str(Path(__file__).parent.parent),
            "MAILER_DATA_DIR": state,
            "MAILER_SMTP_URL": server.url,
            "MAILER_SMTP_CA_FILE": str(server.ca_file),
        }
        try:
            yield folder, environ, server
        finally:
            subprocess.run(["mailer", "queue", "stop"], env=environ, cwd=folder, check=True, capture_output=True)


def run(command: str, folder: Path, environ: dict[str, str]) -> str:
    """One line of the README in a shell; `mailer send` alone is asked its question on a terminal."""
    if command == "mailer send":
        return answer_yes(command, folder, environ)
    done = subprocess.run(["bash", "-c", command], cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def answer_yes(command: str, folder: Path, environ: dict[str, str]) -> str:
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        ["bash", "-c", command], cwd=folder, env=environ, stdin=end, stdout=subprocess.PIPE, text=True
    )
    os.close(end)
    os.write(terminal, b"y\n")
    out, _ = process.communicate(timeout=60)
    os.close(terminal)
    assert process.returncode == 0, out
    return out


@pytest.mark.thorough
def test_the_five_minutes_end_with_mail_to_everybody(desk: tuple[Path, dict[str, str], CaptureServer]) -> None:
    folder, environ, server = desk
    for line in commands("## Five minutes"):
        if line in commands("### For scripts"):
            continue
        if line.startswith("cd "):
            folder /= line.removeprefix("cd ")
            continue
        run(line, folder, environ)
    people = {"ann@example.com", "bob@example.com", "zoe@example.com"}
    assert {*server.mailbox.accepted_for} == {*people, "you@example.com"}
    assert server.mailbox.accepted == 6
    assert len((folder / "outcome.jsonl").read_text().splitlines()) == 3
    assert "<title>" in (folder / "report.html").read_text()
    # Once more, as a script would: the same content is the same campaign, and nobody gets a second message.
    sent_by_script = commands("### For scripts")
    line = run(sent_by_script[0], folder, environ)
    shown = blocks("### For scripts", "console")[0].splitlines()[1]
    mask = re.compile(r"hello-[0-9a-f]{4}")
    assert mask.sub("ID", line.strip()) == mask.sub("ID", shown)
    run(sent_by_script[1], folder, environ)
    campaign_id = mask.search(line)
    assert campaign_id is not None
    run(mask.sub(campaign_id[0], sent_by_script[2]), folder, environ)
    assert server.mailbox.accepted == 6


def test_the_commands_to_begin_with_need_python_and_pip_only() -> None:
    for command in commands("## Two commands"):
        words = set(re.findall(r"[\w./-]+", command))
        assert words <= {"python3", "-m", "venv", ".venv", ".venv/bin/pip", "install", "-q", ".", "demo", "test"} | {
            ".venv/bin/mailer",
            ".venv/bin/pytest",
            "thorough",
        }


def test_every_room_on_the_map_is_there_and_no_other() -> None:
    root = Path(__file__).parent.parent
    table = README.split("## Map of the house")[1].split("\n## ")[0]
    named = re.findall(r"`(mailer/[\w/*.]+|worker\.py|templates/|tests/)`", table)
    for name in named:
        assert list(root.glob(name)), name
    rooms = {path.name for path in (root / "mailer").iterdir() if list(path.glob("*.py"))}
    assert rooms == {name.split("/")[1] for name in named if name.startswith("mailer/")}

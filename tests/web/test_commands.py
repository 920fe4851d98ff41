"""`mailer capture` and `mailer preview` as commands: what they print, serve and write, and how they end."""

import asyncio
import json
import os
import re
import signal
import smtplib
import ssl
import sys
import webbrowser
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from mailer.capture.server import CaptureServer
from mailer.cli import capture, preview
from mailer.cli.capture import capture_mail, mail_page
from mailer.cli.invocation import Invocation
from mailer.cli.preview import preview_campaign
from mailer.vocabulary.errors import SourceError, TemplateError, UsageError
from mailer.web.pulse import Pulse
from tests.web.asking import ask, letter

ROOT = Path(__file__).parents[2]


@pytest.fixture
def invocation(tmp_path: Path) -> Invocation:
    return Invocation(environ={"HOME": str(tmp_path), "MAILER_DATA_DIR": str(tmp_path / "data")})


@pytest.fixture
def campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A campaign in the current folder; its second row is invalid."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "templates" / "hello"
    folder.mkdir(parents=True)
    (folder / "subject.txt.j2").write_text("Hello {{ first_name }}\n")
    (folder / "body.txt.j2").write_text("Dear {{ first_name }},\n\x1b[31mred\n")
    (tmp_path / "recipients.csv").write_text("email,first_name\nann@example.com,Ann\nbob@@example.com,Bob\n")
    (tmp_path / "mailer.toml").write_text(
        '[campaign]\nname = "hello"\ntemplate = "hello"\nsender = "news@acme.example"\nrecipients = "recipients.csv"\n'
    )
    return tmp_path


async def until(said: Callable[[], str], pattern: str) -> str:
    """The first group of the pattern, as soon as it is there."""
    async with asyncio.timeout(20):
        while (match := re.search(pattern, said())) is None:  # noqa: ASYNC110 (what is printed tells nobody)
            await asyncio.sleep(0.01)
    return match[1]


async def while_it_runs(
    command: Coroutine[Any, Any, int], over: asyncio.Event, look: Callable[[], Coroutine[Any, Any, None]]
) -> int:
    """Start a command, look, tell it to stop; its exit code."""
    running = asyncio.create_task(command)
    looking = asyncio.create_task(look())
    await asyncio.wait({running, looking}, return_when=asyncio.FIRST_COMPLETED)
    over.set()
    await looking
    return await running


@pytest.fixture
def over(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Stands for Ctrl-C."""
    stop = asyncio.Event()

    async def until_stopped() -> int:
        await stop.wait()
        return 130

    for module in (capture, preview):
        monkeypatch.setattr(module, "until_stopped", until_stopped)
    return stop


@pytest.mark.thorough
async def test_captured_mail_is_on_the_page_at_once_and_ctrl_c_ends_both(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mailer", "capture", "--port", "0"),
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    assert process.stdout is not None
    said = (await asyncio.wait_for(process.stderr.readuntil(b"Ctrl-C ends it"), 20)).decode()
    page = re.search(r"the mail: (http://127\.0\.0\.1:\d+)", said)
    port = re.search(r"localhost:(\d+)", said)
    authority = re.search(r"MAILER_SMTP_CA_FILE=(.*)", said)
    assert page is not None
    assert port is not None
    assert authority is not None
    await asyncio.to_thread(send, int(port[1]), authority[1])
    assert b"By hand" in await asyncio.wait_for(process.stdout.readline(), 10)
    listed = (await ask(f"{page[1]}/api/v1/messages")).document
    assert [message["subject"] for message in listed["messages"]] == ["By hand"]
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), 10) == 130


def send(port: int, authority: str) -> None:
    with smtplib.SMTP("localhost", port, timeout=10) as client:
        client.starttls(context=ssl.create_default_context(cafile=authority))
        client.sendmail("news@acme.example", ["ann@example.com"], letter("By hand"))


def without_web(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the extra were not installed."""
    for name in list(sys.modules):
        if name.partition(".")[0] in ("starlette", "uvicorn", "sse_starlette") or name.startswith("mailer.web."):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette", None)
    monkeypatch.setitem(sys.modules, "uvicorn", None)


def test_the_page_without_its_extra_is_an_error_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_web(monkeypatch)
    with pytest.raises(UsageError) as caught:
        mail_page(CaptureServer(tmp_path).mailbox, Pulse())
    assert (caught.value.code, caught.value.hint) == ("E134", "pip install '.[web]'")


async def test_mail_is_taken_without_the_extra_and_the_missing_page_is_told(
    invocation: Invocation, over: asyncio.Event, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_web(monkeypatch)
    said = ""

    def read() -> str:
        nonlocal said
        said += capsys.readouterr().err
        return said

    async def look() -> None:
        port = await until(read, r"localhost:(\d+)")
        authority = await until(read, r"MAILER_SMTP_CA_FILE=(.*)\n")
        await asyncio.to_thread(send, int(port), authority)

    assert await while_it_runs(capture_mail(invocation, port=0), over, look) == 130
    read()
    assert "no page to look at the mail" in said
    assert "pip install '.[web]'" in said
    assert said.endswith("1 messages taken\n")


async def test_a_row_is_printed_and_written_without_a_page(
    invocation: Invocation, campaign: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_web(monkeypatch)
    eml = campaign / "ann.eml"
    assert await preview_campaign(invocation, None, row=1, opens=False, prints=True, eml=eml) == 0
    out = capsys.readouterr().out
    assert "Subject: Hello Ann\n" in out
    assert "\n\nDear Ann,\n␛[31mred\n" in out
    assert eml.read_bytes().startswith(b"Date: ")
    assert b"\r\nTo: ann@example.com\r\n" in eml.read_bytes()
    assert eml.stat().st_mode & 0o777 == 0o600

    as_json = Invocation(as_json=True, environ=invocation.environ)
    assert await preview_campaign(as_json, None, row=1, opens=False, prints=True, eml=None) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["row"], document["recipients"]) == (1, ["ann@example.com"])
    assert document["text"].startswith("Dear Ann,")


async def test_a_row_that_nobody_would_get_is_an_error(invocation: Invocation, campaign: Path) -> None:
    for row, code in ((2, "E211"), (3, "E214")):
        with pytest.raises(SourceError) as caught:
            await preview_campaign(invocation, None, row=row, opens=False, prints=True, eml=None)
        assert caught.value.code == code


@pytest.mark.thorough
async def test_a_broken_template_is_an_error_on_the_terminal_and_shown_on_the_page(
    invocation: Invocation, campaign: Path, over: asyncio.Event, capsys: pytest.CaptureFixture[str]
) -> None:
    body = campaign / "templates/hello/body.txt.j2"
    body.write_text("{% if %}")
    with pytest.raises(TemplateError):
        await preview_campaign(invocation, None, row=1, opens=False, prints=True, eml=None)

    async def look() -> None:
        url = await until(lambda: capsys.readouterr().out, r"(http://127\.0\.0\.1:\d+/rows/1)\n")
        assert "body.txt.j2:1" in (await ask(url)).text
        body.write_text("Dear {{ first_name }}, mended\n")
        for _ in range(200):
            if "Dear Ann, mended" in (shown := (await ask(f"{url}?view=text")).text):
                break
            await asyncio.sleep(0.05)
        assert "Dear Ann, mended" in shown

    command = preview_campaign(invocation, None, row=1, opens=False, prints=False, eml=None)
    assert await while_it_runs(command, over, look) == 130


async def test_the_page_opens_in_the_browser_when_asked(
    invocation: Invocation,
    campaign: Path,
    over: asyncio.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def open_url(url: str) -> bool:
        opened.get_loop().call_soon_threadsafe(opened.set_result, url)
        return True

    monkeypatch.setattr(webbrowser, "open", open_url)

    async def look() -> None:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/rows/1", await asyncio.wait_for(opened, 10))

    command = preview_campaign(invocation, None, row=1, opens=True, prints=False, eml=None)
    assert await while_it_runs(command, over, look) == 130

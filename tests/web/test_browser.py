"""A real browser shows hostile mail: nothing of it runs, and nothing is fetched from outside."""

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.web.asking import letter, staged

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

HOSTILE = """<!doctype html><html><head><title>x</title>
<link rel="preconnect" href="OUTSIDE"><link rel="dns-prefetch" href="OUTSIDE"><link rel="stylesheet" href="OUTSIDE/1">
<link rel="prefetch" href="OUTSIDE/2"><meta http-equiv="refresh" content="0; url=OUTSIDE/3"><base href="OUTSIDE/">
<style>@import "OUTSIDE/4"; @font-face { font-family: f; src: url(OUTSIDE/5) } p { background: url(OUTSIDE/6) }</style>
</head><body background="OUTSIDE/7"><p id="mark" style="font-family: f">calm</p>
<script>document.getElementById("mark").textContent = "it ran"; fetch("OUTSIDE/8"); top.location = "OUTSIDE/9"</script>
<img src="OUTSIDE/10" onerror="document.getElementById('mark').textContent = 'it ran'"><img src="cid:logo">
<img srcset="OUTSIDE/11 1x"><iframe src="OUTSIDE/12"></iframe><object data="OUTSIDE/13"></object>
<video src="OUTSIDE/14" poster="OUTSIDE/15" autoplay></video><svg onload="fetch('OUTSIDE/16')">
<image href="OUTSIDE/17"/></svg><form action="OUTSIDE/18"><input autofocus onfocus="this.form.submit()"></form>
</body></html>"""


@pytest.fixture
def chromium() -> str:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this computer")
    return CHROMIUM


async def dump(chromium: str, url: str, folder: Path) -> str:
    """The page as the browser has it in the end."""
    process = await asyncio.create_subprocess_exec(
        chromium,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        f"--user-data-dir={folder}",
        "--virtual-time-budget=1500",
        "--dump-dom",
        url,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 40)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return out.decode()


@pytest.mark.thorough
async def test_nothing_in_a_mail_runs_and_nothing_is_fetched(chromium: str, tmp_path: Path) -> None:
    """The same HTML as a page of its own does run and does fetch, so that silence means something."""
    asked: list[bytes] = []

    async def outside(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A connection is enough, whether or not something is asked for.
        line = await reader.readline()
        asked.append(line)
        body = hostile.encode() if line.startswith(b"GET /control ") else b""
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n" + body)
        writer.close()

    server = await asyncio.start_server(outside, "127.0.0.1", 0)
    place = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    hostile = HOSTILE.replace("OUTSIDE", place)
    async with server, staged() as stage:
        message = stage.take(letter(html=hostile))
        page = f"{stage.site.url}/messages/{message.id}"
        shown = await dump(chromium, page, tmp_path / "page")
        alone = await dump(chromium, f"{page}/html", tmp_path / "alone")
        assert asked == []
        assert "<iframe sandbox" in shown
        assert ">calm</p>" in alone

        await dump(chromium, f"{place}/control", tmp_path / "control")
        assert len(asked) > 5

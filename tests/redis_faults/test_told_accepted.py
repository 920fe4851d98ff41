"""A `mailer send` that loses its queue server says how many are accepted, and the same command again goes on."""

import asyncio
import os
import re
from pathlib import Path

import pytest

from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from tests.operator.console import Console
from tests.redis_faults.servers import FaultyServer
from tests.servers import until

CHUNK, BEFORE, AFTER = 10, 35, 60
SEND = ("send", "--yes", "--detach", "--recipients", "-", "--key", "k")
CAMPAIGN = f"""\
[campaign]
name = "news"
template = "hello"
sender = "News <news@acme.test>"

[smtp]
url = "smtp+starttls://relay.test:587"

[queue]
chunk_size = {CHUNK}
"""


def _rows(first: int, last: int) -> bytes:
    return "".join(f"p{row}@x.test,{row}{'x' * 5000}\n" for row in range(first, last + 1)).encode()


def _folder(folder: Path) -> None:
    template = folder / "templates" / "hello"
    template.mkdir(parents=True)
    (template / "subject.txt.j2").write_text("News {{ name[:4] }}\n")
    (template / "body.txt.j2").write_text("Hello {{ name }}\n")
    (folder / "mailer.toml").write_text(CAMPAIGN)


async def _accepted(ledgers: Ledgers) -> int:
    found = await ledgers.campaigns.ids()
    return (await ledgers.reading.status(found[0])).totals.accepted if found else 0


@pytest.mark.parametrize("fault", ["dies", "is full"])
async def test_a_producer_that_loses_its_queue_server_says_how_many_are_accepted(
    server: FaultyServer, tmp_path: Path, fault: str
) -> None:
    _folder(tmp_path)
    async with open_ledgers(server.url, prefix="t", lease_s=1) as ledgers:
        console = Console(ledgers, tmp_path)
        source = tmp_path / "list"
        os.mkfifo(source)
        sending = console.start(*SEND, terminal=str(source))
        # The list comes in two pieces; between them the server fails.
        with await asyncio.to_thread(source.open, "wb", 0) as stream:
            stream.write(b"email,name\n" + _rows(1, BEFORE))
            await until(lambda: _whole(ledgers, BEFORE))
            if fault == "dies":
                server.kill()
            else:
                server.say("CONFIG", "SET", "maxmemory", 1)
            stream.write(_rows(BEFORE + 1, AFTER))
        said = await console.end(sending, 4)
        if fault == "dies":
            server.start()
        else:
            server.say("CONFIG", "SET", "maxmemory", 0)
        stored = await _accepted(ledgers)
        assert said.out == ""
        assert said.err.count("error[") == said.err.count("error[E501]" if fault == "dies" else "error[E507]") == 1
        assert re.findall(r"; (\d+) accepted so far\n", said.err) == [str(stored)], said.err
        assert "the same command again goes on from there" in said.err
        (tmp_path / "whole").write_bytes(b"email,name\n" + _rows(1, AFTER))
        again = await console.end(console.start(*SEND, "--json", terminal=str(tmp_path / "whole")))
        assert again.document["accepted"] == AFTER
        assert len(await ledgers.campaigns.ids()) == 1


async def _whole(ledgers: Ledgers, rows: int) -> bool:
    return await _accepted(ledgers) == rows // CHUNK * CHUNK

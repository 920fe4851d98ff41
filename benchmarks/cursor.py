"""A database cursor of many rows through the asynchronous API, with workers draining: the memory of the producer.

    python benchmarks/cursor.py --rows 1000000
    python benchmarks/cursor.py --rows 100000 --high-water 4MB --workers 1

Everything runs on this computer: a database that makes its rows as they are asked for, an embedded queue server, worker
processes, and a server that takes every message and keeps none. Without `stream=True` the same list is refused as soon
as it is longer than the queue may hold (E208); the script shows that first.
"""

import argparse
import asyncio
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from mailer import AsyncMailer, Campaign, SourceError

LIMIT_MB = 150
"""What the producer may take."""
FETCHED = 500

ROWS = """
with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < :rows)
select 'person' || n || '@customer' || (n % 5000) || '.example' as email, 'Person ' || n as name,
       hex(randomblob(8)) as code, n * 7 % 1000 / 10.0 as amount from numbers
"""


class Sink(asyncio.Protocol):
    """Takes everything that is said and sent."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (what create_server gives)
        self.transport, self.rest, self.in_body = transport, b"", False
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        """Answer every line, and the end of every message."""
        self.rest += data
        answers = []
        while True:
            text, end, rest = self.rest.partition(b"\r\n.\r\n" if self.in_body else b"\r\n")
            if not end:
                break
            self.rest = rest
            verb = text[:4].upper()
            if self.in_body or verb != b"DATA":
                extensions = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n" if verb == b"EHLO" else b""
                answers.append(b"221 bye\r\n" if verb == b"QUIT" else extensions + b"250 2.0.0 Ok\r\n")
                self.in_body = False
            else:
                answers.append(b"354 go on\r\n")
                self.in_body = True
        self.transport.write(b"".join(answers))


async def sink(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    await server.serve_forever()


def resident_mb() -> float:
    """What this process has in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def peak_mb() -> float:
    """The most it has ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


async def cursor(rows: int, begun: float, tell_at: frozenset[int]) -> AsyncIterator[dict[str, object]]:
    """The rows of a statement, a few hundred at a time."""
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    try:
        found = connection.execute(ROWS, {"rows": rows})
        number = 0
        while batch := found.fetchmany(FETCHED):
            for row in batch:
                number += 1
                if number in tell_at:
                    seconds = time.monotonic() - begun
                    print(f"{number:>10,} {seconds:>9.0f} {resident_mb():>8.1f} {peak_mb():>8.1f}", flush=True)
                yield dict(row)
            await asyncio.sleep(0)
    finally:
        connection.close()


def campaign(folder: Path, recipients: AsyncIterator[dict[str, object]], key: str) -> Campaign:
    """The same letter for everybody."""
    return Campaign(
        "cursor",
        template="news",
        sender="Acme <news@acme.example>",
        recipients=recipients,
        key=key,
        folder=folder,
    )


async def measure(folder: Path, rows: int) -> None:
    """Be the producer."""
    begun = time.monotonic()
    tell_at = frozenset({rows, *(10**power * step for power in range(3, 9) for step in (1, 3))})
    async with AsyncMailer.from_env() as mailer:
        try:
            await mailer.enqueue(campaign(folder, cursor(rows, begun, frozenset()), "checked first"))
        except SourceError as error:
            print(f"without stream=True: {error.code} {error.message}\n  fix: {error.hint}\n")
        print(f"{'rows':>10} {'seconds':>9} {'RSS MB':>8} {'peak MB':>8}")
        begun = time.monotonic()
        handle = await mailer.enqueue(campaign(folder, cursor(rows, begun, tell_at), "streamed"), stream=True)
        status = await handle.status()
        seconds = time.monotonic() - begun
        print(f"\n{status.totals.accepted:,} accepted in {seconds:.0f} s ({rows / seconds:.0f} rows/s)")
        print(f"{status.totals.sent:,} of them sent meanwhile")
        print(f"producer: {peak_mb():.1f} MB at most, {LIMIT_MB} MB allowed")
        assert status.totals.accepted == rows  # noqa: S101 (a measurement of something else would be none)


def main() -> int:
    """Set the stage, measure, and clear it away. 1 when the producer took too much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--high-water", default="32MB")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    parser.add_argument("--sink", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.sink is not None:
        asyncio.run(sink(asked.sink))
        return 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Short, because a Unix socket's path has hardly a hundred characters.
    with tempfile.TemporaryDirectory(prefix="mailer-") as name:
        folder = Path(name)
        template = folder / "templates" / "news"
        template.mkdir(parents=True)
        (template / "subject.txt.j2").write_text("Hello {{ name }}\n")
        (template / "body.txt.j2").write_text("Dear {{ name }},\n\nyour code is {{ code }}, worth {{ amount }} EUR.\n")
        high = int(float(asked.high_water.rstrip("MB")) * 1e6)
        os.environ |= {
            "MAILER_DATA_DIR": str(folder / "queue"),
            "MAILER_QUEUE__HIGH_WATER": str(high),
            "MAILER_QUEUE__LOW_WATER": str(high * 3 // 4),
            "XDG_CONFIG_HOME": str(folder / "config"),
        }
        others = {**os.environ, "MAILER_SMTP_URL": f"smtp+insecure://127.0.0.1:{port}"}
        server = subprocess.Popen([sys.executable, __file__, "--sink", str(port)])  # noqa: S603 (this script)
        command = [sys.executable, "-m", "mailer", "worker", "--processes", str(asked.workers)]
        workers = subprocess.Popen(command, env=others, stderr=subprocess.DEVNULL)  # noqa: S603 (our own worker)
        try:
            asyncio.run(measure(folder, asked.rows))
        finally:
            workers.send_signal(signal.SIGTERM)
            workers.wait()
            server.kill()
            server.wait()
            subprocess.run([sys.executable, "-m", "mailer", "queue", "stop"], check=False, capture_output=True)
    return 0 if peak_mb() < LIMIT_MB else 1


if __name__ == "__main__":
    sys.exit(main())

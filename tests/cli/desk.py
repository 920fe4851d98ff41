"""A place to run commands from: a folder, an environment, a mail server, and what every command has to keep to."""

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from mailer.backends import embedded
from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from mailer.capture.server import CaptureServer
from mailer.vocabulary.campaign import CampaignStatus
from tests.cli.running import ROOT, WARNINGS, Process, Running, Warm

T = TypeVar("T")
NOTHING: Mapping[str, str] = {}

EXIT_CODES = {0, 1, 2, 3, 4, 5, 130}
MARK = "TEST_DESK"
"""In the environment of every process started here, and so of everything that those start."""
TEMPLATE = {
    "subject.txt.j2": "News for {{ first_name }}\n",
    "body.txt.j2": "Hello {{ first_name }},\n\nthis is our letter.\n",
    "body.html.j2": '<html lang="en"><title>News</title><p>Hello <b>{{ first_name }}</b>,</p></html>\n',
}


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        (line,) = self.out.splitlines()
        return json.loads(line)

    @property
    def error(self) -> Any:
        """The error in the last line on stderr; stdout stays empty then."""
        assert self.out == ""
        document = json.loads(self.err.splitlines()[-1])
        assert list(document) == ["schema_version", "error"]
        assert document["schema_version"] == 1
        return document["error"]


class Desk:
    """Runs commands in `folder` with the queue of `data`. All of them are over when it is closed."""

    def __init__(self, folder: Path, data: Path, relay: CaptureServer, warm: Warm) -> None:
        self.warm = warm
        self.folder = folder
        self.data = data
        self.relay = relay
        self.name = f"c{secrets.token_hex(4)}"
        self.domain = f"{self.name}.example"
        self._mark = secrets.token_hex(8)
        self._started: list[Running] = []
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": WARNINGS,
            "MAILER_DATA_DIR": str(data),
            "MAILER_SMTP_URL": relay.url,
            "MAILER_SMTP_CA_FILE": str(relay.ca_file),
            MARK: self._mark,
        }

    def close(self, *, stop_queue: bool) -> None:
        """End what still runs. Nothing that was started here may be left then."""
        for running in self._started:
            running.kill()
        if stop_queue:
            embedded.stop(self.data)
        self.until(lambda: not self.processes())

    # Campaigns

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def campaign(self, *people: str, file: str = "mailer.toml", more: str = "", **files: str) -> None:
        """A campaign to some people: local parts at the domain of this desk, or whole addresses.

        `more` goes to the end of the TOML file. Other words are files to write: `recipients_csv="…"`, `body_txt="…"`.
        """
        rows = "".join(f"{self.address(person)},{person[:20].title()}\n" for person in people)
        recipients = files.get("recipients_csv", f"email,first_name\n{rows}")
        self.write("recipients.csv", recipients)
        for name, text in TEMPLATE.items():
            self.write(f"templates/hello/{name}", files.get(name.partition(".j2")[0].replace(".", "_"), text))
        self.write(
            file,
            f'[campaign]\nname = "{self.name}"\ntemplate = "hello"\nsender = "News <news@{self.domain}>"\n'
            f'recipients = "recipients.csv"\n{more}',
        )

    def address(self, person: str) -> str:
        return person if "@" in person else f"{person}@{self.domain}"

    # Commands

    def start(
        self,
        *words: str,
        environ: Mapping[str, str] = NOTHING,
        cold: bool = False,
        stdin: str = "",
        stdout: IO[Any] | None = None,
    ) -> Running:
        """Start a command: cold as `mailer …` in a shell does (only then it can have another stdout), or warm."""
        out, err, source = (self.folder / f".{len(self._started)}.{name}" for name in ("out", "err", "in"))
        out.touch()
        err.touch()
        source.write_text(stdin, encoding="utf-8")
        process: Process
        if cold:
            with source.open("rb") as stream, out.open("wb") as output, err.open("wb") as errors:
                process = subprocess.Popen(
                    [sys.executable, "-m", "mailer", *words],
                    cwd=self.folder,
                    env=self.environ | dict(environ),
                    stdin=stream,
                    stdout=stdout or output,
                    stderr=errors,
                )
        else:
            process = self.warm.fork(words, self.folder, self.environ | dict(environ), source, out, err)
        running = Running(process, words, out, err)
        self._started.append(running)
        return running

    def end(self, running: Running, *, may_color: bool = False) -> Done:
        """Wait for a command; what holds for all of them is looked at here."""
        code = running.wait()
        # As bytes, because the line ends of a CSV file are CRLF.
        done = Done(code, running.out.read_bytes().decode(), running.err.read_bytes().decode())
        return self.hold(done, running.words, may_color=may_color)

    def hold(self, done: Done, words: Sequence[str], *, may_color: bool = False) -> Done:
        """A documented exit code, no traceback, no warning of Python's, no escape byte in a pipe."""
        told = f"{words}\nexit {done.code}\n--- stdout\n{done.out}\n--- stderr\n{done.err}"
        assert done.code in EXIT_CODES, told
        assert "-vv" in words or "Traceback" not in done.err, told
        assert "Warning" not in done.err, told
        assert "\x1b" not in done.err, told
        assert may_color or "\x1b" not in done.out, told
        return done

    def run(self, *words: str, environ: Mapping[str, str] = NOTHING, cold: bool = False, stdin: str = "") -> Done:
        """Run a command to its end."""
        return self.end(self.start(*words, environ=environ, cold=cold, stdin=stdin))

    def interrupt(self, running: Running, number: int = signal.SIGINT) -> Done:
        running.signal(number)
        return self.end(running)

    # What there is to see from outside

    def got(self, *people: str) -> list[int]:
        """How many messages each of these people was sent: the mail server's own count."""
        return [self.relay.mailbox.accepted_for[self.address(person)] for person in people]

    @property
    def arrived(self) -> Counter[str]:
        """Everybody at this desk's domain who got something, by local part."""
        counts = self.relay.mailbox.accepted_for
        return Counter(
            {
                email.removesuffix(f"@{self.domain}"): count
                for email, count in list(counts.items())
                if email.endswith(f"@{self.domain}")
            }
        )

    def ledger(self, look: "Callable[[Ledgers], Any]", data: Path | None = None) -> Any:
        """Look into the queue (of another folder) without a command."""

        async def open_and_look() -> Any:
            async with open_ledgers(embedded.ensure(data or self.data), prefix="mailer", lease_s=10.0) as ledgers:
                return await look(ledgers)

        return asyncio.run(open_and_look())

    def ids(self) -> list[str]:
        """The campaigns of this desk."""
        found: list[str] = self.ledger(lambda ledgers: ledgers.campaigns.ids())
        return [campaign_id for campaign_id in found if campaign_id.startswith(f"{self.name}-")]

    def status(self) -> CampaignStatus:
        """Where the one campaign of this desk stands."""
        (campaign_id,) = self.ids()
        found: CampaignStatus = self.ledger(lambda ledgers: ledgers.campaigns.status(campaign_id))
        return found

    def processes(self) -> list[int]:
        """What runs of all that was started here, and by whom that started; queue servers are nobody's."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if f"{MARK}={self._mark}".encode() in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
        return found

    @staticmethod
    def until(holds: Callable[[], T], *, within: float = 15.0) -> T:
        """Wait until something is true, looking often."""
        deadline = time.monotonic() + within
        while not (found := holds()):
            assert time.monotonic() < deadline, f"does not hold within {within:g} s"
            time.sleep(0.02)
        return found


def identities(totals: dict[str, int]) -> bool:
    """Whether both sums of the report hold."""
    rest = {name: count for name, count in totals.items() if name not in ("rows", "invalid", "duplicate", "accepted")}
    return (
        totals["rows"] == totals["accepted"] + totals["invalid"] + totals["duplicate"]
        and totals["accepted"] == sum(rest.values())
        and len(rest) == 10
    )

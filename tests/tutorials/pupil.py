"""Somebody who follows a tutorial: a folder with a campaign, an environment, and commands as processes."""

import asyncio
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cli.running import ROOT, Running, Warm
from tests.relays.certificates import Certificates

TEMPLATE = {
    "subject.txt.j2": "Hello {{ name }}\n",
    "body.txt.j2": "Hello {{ name }},\n\nthis is plain text.\n",
    "body.html.j2": "<p>Hello <b>{{ name }}</b>, this is HTML.</p>\n",
}
SETTINGS = """\
[campaign]
name = "hello"
template = "hello"
sender = "Me <me@example.com>"
recipients = "people.csv"
"""


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The error in the one JSON document on stderr, where a command ends with one."""
        assert self.out == ""
        return json.loads(self.err)["error"]


@dataclass
class Pupil:
    """`await pupil.mailer("send", "--yes")` runs a command in the folder of the campaign."""

    folder: Path
    warm: Warm
    environ: dict[str, str] = field(default_factory=dict)
    _commands: int = 0

    def writes(self, **files: str) -> None:
        """The campaign to Ann, with these files (`people_csv="…"`) in the place of the usual ones."""
        texts = {"mailer.toml": SETTINGS, "people.csv": "email,name\nann@example.com,Ann\n"}
        texts |= {f"templates/hello/{name}": text for name, text in TEMPLATE.items()}
        texts |= {name.replace("_", "."): text for name, text in files.items()}
        for name, text in texts.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def trusts(self, authority: Certificates) -> None:
        """Name the own authority of a server."""
        (self.folder / "ca.pem").write_text(authority.ca_pem)
        self.environ["MAILER_SMTP_CA_FILE"] = str(self.folder / "ca.pem")

    def starts(self, *words: str, terminal: Path | None = None) -> Running:
        """Begin a command, with a terminal as its input or with nothing."""
        self._commands += 1
        source, out, err = (self.folder / f".{self._commands}.{name}" for name in ("in", "out", "err"))
        for file in (source, out, err):
            file.touch()
        process = self.warm.fork(words, self.folder, self._everything, terminal or source, out, err)
        return Running(process, words, out, err)

    async def mailer(self, *words: str) -> Ended:
        """Run a command, or a script of the folder, to its end, while the servers of the test answer it."""
        return await asyncio.to_thread(lambda: ended(self.starts(*words)))

    @property
    def _everything(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONPATH": str(ROOT), **self.environ}


def ended(running: Running) -> Ended:
    """Wait for a command."""
    code = running.wait()
    return Ended(code, running.out.read_text(encoding="utf-8"), running.err.read_text(encoding="utf-8"))

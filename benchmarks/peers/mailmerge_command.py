"""mailmerge, the published command, with the letter in its own form."""

import sys
from pathlib import Path

from benchmarks.course import Course, Runner
from benchmarks.crew import BenchmarkError, Crew
from benchmarks.installing import installed

VERSION = "2.3.0"

_LETTER = """\
TO: {{{{ email }}}}
SUBJECT: {subject}
FROM: {sender}
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="boundary"

This is a MIME-encoded message.

--boundary
Content-Type: text/plain; charset=us-ascii

{text}

--boundary
Content-Type: text/html; charset=us-ascii

{html}
--boundary--
"""

_SERVER = """\
[smtp_server]
host = 127.0.0.1
port = {port}
"""


def install(cache: Path) -> None:
    """Into a virtual environment of its own."""
    folder = cache / f"mailmerge-{VERSION}"
    command = folder / "bin" / "mailmerge"
    steps = [[sys.executable, "-m", "venv", str(folder)], [str(folder / "bin/pip"), "install", f"mailmerge=={VERSION}"]]
    installed(command, *steps)


def go(course: Course, crew: Crew) -> None:
    """Start the command. Without TLS: with it, mailmerge insists on a login, which smtp-sink cannot grant."""
    parts = Path(course.folder) / "templates" / "letter"
    subject, text, html = ((parts / f"{name}.j2").read_text() for name in ("subject.txt", "body.txt", "body.html"))
    scratch = Path(course.scratch)
    letter = _LETTER.format(subject=subject.strip(), sender=course.sender, text=text, html=html)
    (scratch / "mailmerge_template.txt").write_text(letter)
    (scratch / "mailmerge_database.csv").write_bytes((Path(course.folder) / "recipients.csv").read_bytes())
    (scratch / "mailmerge_server.conf").write_text(_SERVER.format(port=course.plain_port))
    command = Path(course.cache) / f"mailmerge-{VERSION}" / "bin" / "mailmerge"
    if not command.exists():
        raise BenchmarkError(f"{command} is not there")
    crew.start(
        "mailmerge",
        [command, "--no-dry-run", "--no-limit", "--output-format", "text"],
        folder=scratch,
    )


RUNNERS = (
    Runner(
        name="mailmerge", what=f"mailmerge {VERSION}, a connection a message, no TLS, no queue", go=go, install=install
    ),
)

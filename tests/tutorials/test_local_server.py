"""A server for development: `mailer capture`, where tutorials say `python -m smtpd` or `python -m aiosmtpd`."""

import asyncio
import signal

from tests.tutorials.pupil import Pupil, ended


async def test_capture_takes_mail_shows_it_and_delivers_nothing(pupil: Pupil) -> None:
    pupil.environ["MAILER_DATA_DIR"] = str(pupil.folder / "state")
    server = pupil.starts("capture", "--port", "0")
    said = await asyncio.to_thread(server.says, "Ctrl-C ends it")
    variables = dict(line.strip().split("=", 1) for line in said.splitlines() if line.startswith("  MAILER_"))
    assert set(variables) == {"MAILER_SMTP_URL", "MAILER_SMTP_CA_FILE"}
    # What it prints is all that another command needs.
    pupil.environ |= variables
    sent = await pupil.mailer("send", "--yes")
    assert sent.code == 0, sent
    server.signal(signal.SIGTERM)
    done = await asyncio.to_thread(ended, server)
    (line,) = done.out.splitlines()
    assert "me@example.com -> ann@example.com" in line
    assert line.endswith("Hello Ann")
    assert (done.code, "1 messages taken" in done.err) == (0, True)

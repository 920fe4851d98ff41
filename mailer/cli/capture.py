"""`mailer capture`: a local mail server that keeps everything and delivers nothing."""

import asyncio
import signal
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mailer.capture.server import CaptureServer
from mailer.cli.opening import read_setting
from mailer.reports.figures import moment

if TYPE_CHECKING:
    from mailer.capture.mailbox import Captured
    from mailer.cli.invocation import Invocation

INTERRUPTED = 130


async def capture_mail(invocation: "Invocation", *, port: int) -> int:
    """Take mail until Ctrl-C or SIGTERM; one line on stdout for each message, under `--json` one object."""
    folder = read_setting(invocation).data_dir / "capture"

    def tell(message: "Captured") -> None:
        taken = moment(datetime.fromtimestamp(message.taken_ms / 1000, UTC))
        if invocation.as_json:
            invocation.document(
                id=message.id,
                taken=taken,
                reverse_path=message.reverse_path,
                recipients=list(message.recipients),
                subject=message.subject,
                bytes=len(message.content),
                answered=message.answered,
            )
        else:
            to = ", ".join(message.recipients)
            invocation.data(f"{taken}  {message.reverse_path} -> {to}  {len(message.content)} B  {message.subject}")

    async with CaptureServer(folder, port=port, fixed_port=True, on_message=tell) as server:
        invocation.say(f"capture server on {server.url}  (STARTTLS required, any login accepted)")
        invocation.say(f"  MAILER_SMTP_URL={server.url}\n  MAILER_SMTP_CA_FILE={server.ca_file}\n  Ctrl-C ends it")
        over: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        for number, code in ((signal.SIGINT, INTERRUPTED), (signal.SIGTERM, 0)):
            asyncio.get_running_loop().add_signal_handler(number, _end, over, code)
        code = await over
        invocation.say(f"{server.mailbox.accepted} messages taken")
    return code


def _end(over: "asyncio.Future[int]", code: int) -> None:
    if not over.done():
        over.set_result(code)

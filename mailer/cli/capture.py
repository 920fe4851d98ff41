"""`mailer capture`: a local mail server that keeps everything and delivers nothing, and a page to look at the mail."""

import asyncio
import signal
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from mailer.capture.server import CaptureServer
from mailer.cli.opening import read_setting
from mailer.vocabulary.errors import UsageError
from mailer.web.captured_document import message_document
from mailer.web.extra import web_extra
from mailer.web.pulse import Pulse

if TYPE_CHECKING:
    from mailer.capture.mailbox import Captured, Mailbox
    from mailer.cli.invocation import Invocation
    from mailer.web.website import Website

INTERRUPTED = 130
WEB = 8025


async def capture_mail(invocation: "Invocation", *, port: int, web: int = WEB) -> int:
    """Take mail until Ctrl-C or SIGTERM; one line on stdout for each message.

    Under `--json` one object for each, and a first one that says where the server is.

    The page is on `web` or the next free port after it. Without the `[web]` extra there is none, and it says so.
    """
    folder = read_setting(invocation).data_dir / "capture"
    pulse = Pulse()

    def tell(message: "Captured") -> None:
        pulse.beat()
        told = message_document(message)
        if invocation.as_json:
            invocation.document(**told)
        else:
            way = f"{message.reverse_path} -> {', '.join(message.recipients)}"
            invocation.data(f"{told['taken']}  {way}  {told['bytes']} B  {message.subject}")

    async with (
        CaptureServer(folder, port=port, fixed_port=True, on_message=tell) as server,
        AsyncExitStack() as stack,
    ):
        invocation.say(f"capture server on {server.url}  (STARTTLS required, any login accepted)")
        page = None
        try:
            site = await stack.enter_async_context(mail_page(server.mailbox, pulse, port=web))
        except UsageError as error:
            if error.code != "E134":
                raise
            invocation.say(f"  no page to look at the mail: {error.message}; {error.hint}")
        else:
            page = site.url
            invocation.say(f"  the mail: {page}")
        invocation.say(f"  MAILER_SMTP_URL={server.url}\n  MAILER_SMTP_CA_FILE={server.ca_file}\n  Ctrl-C ends it")
        if invocation.as_json:
            invocation.document(url=server.url, ca_file=str(server.ca_file), web=page)
        code = await until_stopped()
        invocation.say(f"{server.mailbox.accepted} messages taken")
    return code


def mail_page(mailbox: "Mailbox", pulse: Pulse, *, port: int = WEB) -> "Website":
    """The page of captured mail, to be entered. Raises `UsageError` E134 without the `[web]` extra."""
    with web_extra("the page of captured mail"):
        from mailer.web.captured import captured_mail
        from mailer.web.website import Website

        return Website(captured_mail(mailbox, pulse), pulse, port=port)


async def until_stopped() -> int:
    """Wait for Ctrl-C or SIGTERM; the exit code that it means."""
    over: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    for number, code in ((signal.SIGINT, INTERRUPTED), (signal.SIGTERM, 0)):
        asyncio.get_running_loop().add_signal_handler(number, _end, over, code)
    return await over


def _end(over: "asyncio.Future[int]", code: int) -> None:
    if not over.done():
        over.set_result(code)

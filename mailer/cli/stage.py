"""The demo's stage: queue, mail server, page and workers of its own, up for as long as it runs."""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mailer.backends import embedded
from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from mailer.capture.mailbox import Mailbox
from mailer.capture.server import CaptureServer
from mailer.cli.capture import mail_page
from mailer.cli.opening import Setting
from mailer.config.orders import Orders
from mailer.vocabulary.errors import UsageError
from mailer.web.pulse import Pulse
from mailer.worker.supervisor import Supervisor

if TYPE_CHECKING:
    from mailer.cli.invocation import Invocation
    from mailer.web.website import Website

PROCESSES, CONNECTIONS = 2, 5
PORT = 1025
STOPPED, INTERRUPTED = 5, 130


@dataclass(slots=True, kw_only=True)
class Stage:
    """What the demo has started."""

    ledgers: Ledgers
    capture: CaptureServer
    supervisor: Supervisor
    working: "asyncio.Task[None]"
    folder: Path
    signals: list[int]
    over: asyncio.Event
    site: "Website | None"

    @property
    def code(self) -> int:
        """How the demo ends when it is told to: Ctrl-C interrupts, SIGTERM stops the waiting."""
        return INTERRUPTED if signal.SIGINT in self.signals or len(self.signals) > 1 else STOPPED


@contextmanager
def only_one(setting: Setting) -> Iterator[None]:
    """A second demo would take the queue away from the first. Raises `UsageError` E123."""
    import fcntl

    setting.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (setting.data_dir / "demo.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                "E123",
                "another demo is running",
                where=str(setting.demo_dir),
                hint="end it with Ctrl-C, or give this one a place of its own: MAILER_DATA_DIR=/tmp/second-demo",
            ) from None
        yield


@asynccontextmanager
async def raised_stage(invocation: "Invocation", setting: Setting, *, web: bool) -> AsyncIterator[Stage]:
    """Queue, mail server and workers of the demo's own; all of it is gone when the block ends."""
    folder = setting.demo_dir
    async with AsyncExitStack() as stack:
        over = asyncio.Event()
        signals: list[int] = []
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, _hear, number, signals, over)
        mailbox, pulse = Mailbox(), Pulse()
        # In a thread, and begun first: the queue server starts while the modules of the page are loaded.
        loading = asyncio.get_running_loop().run_in_executor(None, _page, mailbox, pulse) if web else None
        # Only what a demo left behind: the user's own queue lies one folder higher.
        embedded.stop(folder)
        shutil.rmtree(folder, ignore_errors=True)
        stack.callback(embedded.stop, folder)
        url = embedded.ensure(folder)
        ledgers = await stack.enter_async_context(open_ledgers(url, prefix="mailer", lease_s=10.0))
        found = embedded.status(folder)
        invocation.say(
            f"  ✓ queue    {f'{found.server} {found.version}' if found else ''} (embedded)   private to the demo"
        )
        capture = await stack.enter_async_context(
            CaptureServer(folder / "capture", port=PORT, mailbox=mailbox, on_message=lambda _: pulse.beat())
        )
        invocation.say(f"  ✓ smtp     capture server            localhost:{capture.port}  STARTTLS required, demo CA")
        supervisor = Supervisor(Orders(queue_url=url, grace_s=10.0, log_level="error"), PROCESSES)
        working = asyncio.create_task(supervisor.run())
        pages = AsyncExitStack()
        stack.push_async_callback(_end, supervisor, working, pages)
        site = await loading if loading is not None else None
        if site is not None:
            await pages.enter_async_context(site)
            invocation.say(f"  ✓ web      {site.url}     captured mail")
        invocation.say(f"  ✓ workers  {PROCESSES} processes × {CONNECTIONS} connections\n")
        yield Stage(
            ledgers=ledgers,
            capture=capture,
            supervisor=supervisor,
            working=working,
            folder=folder,
            signals=signals,
            over=over,
            site=site,
        )


def _page(mailbox: Mailbox, pulse: Pulse) -> "Website | None":
    """The page of captured mail, not running yet; None without the `[web]` extra."""
    try:
        return mail_page(mailbox, pulse)
    except UsageError:
        return None


def _hear(number: int, signals: list[int], over: asyncio.Event) -> None:
    signals.append(number)
    over.set()


async def _end(supervisor: Supervisor, working: "asyncio.Task[None]", pages: AsyncExitStack) -> None:
    supervisor.stop()
    try:
        # While the workers end: neither takes long, and both together no longer.
        await pages.aclose()
    finally:
        await working

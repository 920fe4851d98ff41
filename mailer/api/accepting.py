"""Accepting a campaign from a program: rendering and storing in a thread, rows from where they are at home."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mailer.backends.redis.connection import check_server, explained
from mailer.backends.redis.ledgers import open_ledgers
from mailer.backends.sources.handover import Handover, HandoverError
from mailer.backends.sources.iterable import IterableSource
from mailer.backends.sources.opening import open_source
from mailer.config.queue import queue_url
from mailer.config.redis_url import redact
from mailer.config.route import certificates
from mailer.flow.preparation import Prepared, prepare
from mailer.flow.submission import Submission
from mailer.vocabulary.errors import SourceError, UsageError

if TYPE_CHECKING:
    from mailer.backends.sources.handover import Rows
    from mailer.config.configuration import Configuration
    from mailer.flow.submission import Counts, Submitted
    from mailer.interfaces.source import RecipientSource
    from mailer.vocabulary.campaign import CampaignStatus
    from mailer.vocabulary.settings import QueueSettings

T = TypeVar("T")


class _StoppedError(SourceError):
    """Whoever asked for it does not want it any more. A `MailerError`, so that the draft goes."""

    def __init__(self) -> None:
        super().__init__("E201", "accepting was stopped")


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """One campaign to be accepted into the queue that `queue` names, with the settings of `configuration`.

    The event loop stays free: building a thousand messages takes a fifth of a second of pure work.
    """

    configuration: "Configuration"
    queue: "Configuration"
    environ: Mapping[str, str]
    rows: "Rows | None" = None
    skip_bad: bool = False

    async def run(self) -> "CampaignStatus":
        """Accept it once, or find it accepted.

        Raises:
            MailerError: nothing was accepted. What an iterable raises comes out as it is, with the same promise.
        """
        self._check_queue()
        handover = Handover(self.rows) if self.rows is not None else None
        stopped = threading.Event()

        def stop() -> None:
            stopped.set()
            if handover is not None:
                handover.stop()

        feeding = asyncio.create_task(handover.feed()) if handover is not None else None
        try:
            submitted = await _in_thread(lambda: asyncio.run(self._submit(handover, stopped)), stop)
        except HandoverError as error:
            raise error.raised from None
        finally:
            if feeding is not None:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
        return submitted.status

    def _check_queue(self) -> None:
        mine, theirs = self.configuration.queue, self.queue.queue
        if _place(mine) != _place(theirs):
            raise UsageError(
                "E101",
                "the campaign's file names another queue than this mailer uses",
                where=str(self.configuration.path),
                hint=f"AsyncMailer.from_env({str(self.configuration.path)!r})",
                safe="Nothing was accepted.",
            )

    async def _submit(self, handover: Handover | None, stopped: threading.Event) -> "Submitted":
        def look(_: "Counts") -> None:
            if stopped.is_set():
                raise _StoppedError

        prepared = self._prepare(handover)
        url = queue_url(self.queue, self.environ)
        queue = self.queue.queue
        with explained(redact(url)):
            async with open_ledgers(url, prefix=queue.prefix, lease_s=queue.lease) as ledgers:
                await check_server(ledgers.redis, ledgers.keys)
                submission = Submission(ledgers.intake, prepared, queue, skip_bad=self.skip_bad, progress=look)
                submitted = await submission.run()
        assert submitted is not None  # noqa: S101 (nobody is asked)
        return submitted

    def _prepare(self, handover: Handover | None) -> Prepared:
        configuration = self.configuration

        def opener(spec: str, base: Path, needed: Iterable[str]) -> "RecipientSource":
            if handover is not None:
                return IterableSource(handover.take, name=spec)
            return open_source(spec, base=configuration.folder_of("campaign.recipients"), needed=needed)

        ca_file = configuration.smtp.ca_file
        return prepare(
            configuration.campaign,
            configuration.smtp,
            configuration.delivery,
            base=configuration.folder_of("campaign.template"),
            open_source=opener,
            ca_pem=certificates(ca_file) if configuration.smtp.url is not None and ca_file is not None else None,
            now_ms=int(time.time() * 1000),
        )


def _place(queue: "QueueSettings") -> tuple[object, ...]:
    return queue.url, queue.data_dir, queue.prefix


async def _in_thread(work: Callable[[], T], stop: Callable[[], None]) -> T:
    """Run it in a thread of its own: asyncio's few would block each other. Cancelled, it is stopped and waited for."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:
            loop.call_soon_threadsafe(done.set_exception, error)
        else:
            loop.call_soon_threadsafe(done.set_result, result)

    threading.Thread(target=run, name="mailer-accepting", daemon=True).start()
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        stop()
        await asyncio.wait([done])
        done.exception()
        raise

"""Accepting a campaign from a program: rendering and storing in a thread, rows from where they are at home."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from mailer.api.asked import Asked
from mailer.backends.attachment_files import AttachmentFolder
from mailer.backends.sources.handover import Handover, HandoverError
from mailer.backends.sources.iterable import IterableSource
from mailer.backends.sources.opening import open_source
from mailer.config.route import certificates
from mailer.config.secrets import token_secret
from mailer.flow.preparation import Prepared, prepare
from mailer.flow.submission import Submission
from mailer.vocabulary.errors import SourceError, UsageError
from mailer.vocabulary.send_options import SendOptions

if TYPE_CHECKING:
    from mailer.backends.sources.handover import Rows
    from mailer.config.configuration import Configuration
    from mailer.flow.submission import Counts, Submitted
    from mailer.interfaces.ledger import IntakeLedger
    from mailer.interfaces.source import RecipientSource
    from mailer.vocabulary.campaign import CampaignStatus
    from mailer.vocabulary.settings import QueueSettings

T = TypeVar("T")


class _StoppedError(SourceError):
    """Whoever asked for it does not want it any more. A `MailerError`, so that the draft goes."""

    def __init__(self) -> None:
        super().__init__("E201", "accepting was stopped")


class OpenedQueue(NamedTuple):
    """The producer's side of a queue, and how an id of it is completed."""

    intake: "IntakeLedger"
    find: Callable[[str], Awaitable[str | None]]


@dataclass(kw_only=True)
class Acceptance:
    """One campaign to be accepted, once, into the queue that `open_queue` opens.

    The event loop stays free: building a thousand messages takes a fifth of a second of pure work. `queue` are the
    settings of the queue, `key` is the campaign's as soon as it is known.
    """

    configuration: "Configuration"
    queue: "QueueSettings"
    environ: Mapping[str, str]
    open_queue: Callable[[], AbstractAsyncContextManager[OpenedQueue]]
    rows: "Rows | None" = None
    asked: Asked = field(default_factory=Asked)
    key: str | None = None
    _stopped: threading.Event = field(default_factory=threading.Event)
    _handover: Handover | None = None

    async def run(self) -> "CampaignStatus":
        """Accept it once, or find it accepted.

        Raises:
            MailerError: nothing was accepted. What an iterable raises comes out as it is, with the same promise.
        """
        options = self.asked.options
        # A list is at home everywhere, and can be read again.
        is_list = isinstance(self.rows, list | tuple)
        self._handover = Handover(self.rows) if self.rows is not None and not is_list else None
        feeding = asyncio.create_task(self._handover.feed()) if self._handover is not None else None
        try:
            submitted = await _in_thread(lambda: asyncio.run(self._submit(options)), self.stop)
        except HandoverError as error:
            raise error.raised from None
        finally:
            if feeding is not None:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
        return submitted.status

    def stop(self) -> None:
        """End it before its end: `run` raises."""
        self._stopped.set()
        if self._handover is not None:
            self._handover.stop()

    async def _submit(self, options: SendOptions) -> "Submitted":
        def look(_: "Counts") -> None:
            if self._stopped.is_set():
                raise _StoppedError

        prepared = self._prepare()
        self.key = prepared.proposal.key
        async with self.open_queue() as opened:
            if options.exclude is not None:
                found = await opened.find(options.exclude)
                if found is None:
                    raise UsageError("E109", f"no campaign {options.exclude!r}", hint="mailer status   lists the ids")
                options = replace(options, exclude=found)
            submitted = await Submission(opened.intake, prepared, self.queue, options, progress=look).run()
        assert submitted is not None  # noqa: S101 (nobody is asked)
        return submitted

    def _prepare(self) -> Prepared:
        configuration, asked, handover = self.configuration, self.asked, self._handover

        def opener(spec: str, base: Path, needed: Iterable[str]) -> "RecipientSource":
            if isinstance(self.rows, list | tuple):
                return IterableSource(self.rows, name=spec)
            if handover is not None:
                return IterableSource(handover.take, name=spec)
            return open_source(
                spec,
                base=configuration.folder_of("campaign.recipients"),
                delimiter=asked.delimiter,
                format=asked.recipients_format,
                needed=needed,
            )

        ca_file = configuration.smtp.ca_file
        return prepare(
            configuration.campaign,
            configuration.smtp,
            configuration.delivery,
            base=configuration.folder_of("campaign.template"),
            attachments=configuration.folder_of("campaign.attachments"),
            open_source=opener,
            attach_below=partial(AttachmentFolder, max_size=configuration.delivery.max_message_size),
            ca_pem=certificates(ca_file) if configuration.smtp.url is not None and ca_file is not None else None,
            now_ms=int(time.time() * 1000),
            token_secret=token_secret(self.environ),
            new=asked.new,
            append=asked.append,
            test_to=asked.test_to,
        )


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

"""Accepting a campaign from a program: rendering and storing in a thread, rows from where they are at home."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mailer.api.asked import Asked
from mailer.api.clerks import Clerks
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
from mailer.worker.renderers import with_renderers

if TYPE_CHECKING:
    from mailer.backends.sources.handover import Rows
    from mailer.config.configuration import Configuration
    from mailer.flow.counts import Counts, Submitted
    from mailer.interfaces.ledger import IntakeLedger
    from mailer.interfaces.source import RecipientSource
    from mailer.vocabulary.campaign import CampaignStatus
    from mailer.vocabulary.settings import QueueSettings


class _StoppedError(SourceError):
    """Whoever asked for it does not want it any more. A `MailerError`, so that the draft goes."""

    def __init__(self) -> None:
        super().__init__("E201", "accepting was stopped")


class OpenedQueue(NamedTuple):
    """The producer's side of a queue, and how an id of it is completed."""

    intake: "IntakeLedger"
    find: Callable[[str], Awaitable[str | None]]
    explaining: Callable[[], AbstractContextManager[None]] = nullcontext
    """Turns its errors into ours."""


@dataclass(kw_only=True)
class Acceptance:
    """One campaign to be accepted, once, into the queue that `open_queue` opens.

    The event loop stays free: building a thousand messages takes a tenth of a second of pure work. `queue` are the
    settings of the queue, `key` is the campaign's as soon as it is known. `clerks` have the queue open already.
    """

    configuration: "Configuration"
    queue: "QueueSettings"
    environ: Mapping[str, str]
    open_queue: Callable[[], AbstractAsyncContextManager[OpenedQueue]]
    clerks: Clerks[OpenedQueue] | None = None
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
            clerks = self.clerks or Clerks(self.open_queue)
            submitted = await clerks.do(lambda open_queue: self._submit(options, open_queue), self.stop)
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

    async def _submit(self, options: SendOptions, open_queue: Callable[[], Awaitable[OpenedQueue]]) -> "Submitted":
        def look(_: "Counts") -> None:
            if self._stopped.is_set():
                raise _StoppedError

        prepared = self._prepare()
        self.key = prepared.proposal.key
        opened = await open_queue()
        with opened.explaining():
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
        prepared = prepare(
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
        return with_renderers(prepared, asked.render_processes)

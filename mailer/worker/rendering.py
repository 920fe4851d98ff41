"""A process that renders: orders and rows come in on a socket, messages go out; it ends when the socket does."""

import gc
import signal
import socket
import sys
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO

import msgspec

from mailer.backends.attachment_files import AttachmentFolder
from mailer.backends.redis.frames import Frames
from mailer.backends.render_process import LENGTH, Answer
from mailer.backends.render_processes import RenderProcesses
from mailer.flow.intake import Intake, InvalidRowError
from mailer.flow.preparation import Prepared, make_composer
from mailer.interfaces.rendering import Occupation, Renderers
from mailer.interfaces.source import RecipientSource, Row
from mailer.policy.addressing import parse_address
from mailer.vocabulary.campaign import Campaign
from mailer.vocabulary.errors import MailerError, TemplateError, UsageError
from mailer.vocabulary.settings import CampaignSettings, DeliverySettings


class RenderOrders(msgspec.Struct, frozen=True, kw_only=True):
    """All that makes the messages of one run, but for the rows."""

    campaign: Campaign
    settings: CampaignSettings
    delivery: DeliverySettings
    template: str
    attachments: str
    sha256: str
    source: str
    date: datetime
    after: int
    token_secret: bytes | None
    test_to: str | None
    reference: bytes | None


class _NoRows:
    """The list as a render process knows it: by its name."""

    content_hash = None
    columns = None
    is_repeatable = False
    trimmed: tuple[str, ...] = ()

    def __init__(self, name: str) -> None:
        self.name = name

    def rows(self) -> Iterator[Row]:
        return iter(())


async def start_renderers(
    prepared: Prepared, occupation: Occupation, *, count: int, is_asked: bool
) -> Renderers | None:
    """Start `count` processes for this run. Unless somebody asked for them, None where they cannot be had."""
    orders = RenderOrders(
        campaign=occupation.campaign,
        settings=prepared.settings,
        delivery=prepared.delivery,
        template=str(prepared.template.absolute()),
        attachments=str(prepared.attachments.absolute()),
        sha256=prepared.composer.sha256,
        source=prepared.source.name,
        date=occupation.date,
        after=occupation.after,
        token_secret=prepared.token_secret,
        test_to=prepared.test_to.addr_spec if prepared.test_to is not None else None,
        reference=occupation.reference,
    )
    try:
        processes = RenderProcesses(msgspec.msgpack.encode(orders), count, must_start=is_asked)
    except (OSError, UsageError) as error:
        if not is_asked:
            return None
        if isinstance(error, UsageError):
            raise
        raise UsageError("E136", "no process that renders can be started", why=str(error)) from error
    if is_asked:
        try:
            processes.wait_ready()
        except BaseException:
            processes.close()
            raise
    return processes


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the other side is gone."""
    words = _read(requests)
    if words is None:
        return
    orders = msgspec.msgpack.decode(words, type=RenderOrders)
    intake = _intake(orders)
    # One answer to no row: the files were changed since the parent read them, so it must render itself.
    _write(answers, [] if intake is not None else [None])
    if intake is None:
        while _read(requests) is not None:
            continue
        return
    frames = Frames(orders.reference) if orders.reference is not None else None
    decode = msgspec.msgpack.Decoder(list[tuple[int, dict[str, object]]]).decode
    gc.freeze()
    while (words := _read(requests)) is not None:
        _write(answers, [_answer(intake, frames, Row(number, columns)) for number, columns in decode(words)])


def _intake(orders: RenderOrders) -> Intake | None:
    attach_below = partial(AttachmentFolder, max_size=orders.delivery.max_message_size)
    source: RecipientSource = _NoRows(orders.source)
    try:
        composer, _ = make_composer(Path(orders.template), orders.settings, Path(orders.attachments), attach_below)
    except MailerError:
        return None
    if composer.sha256 != orders.sha256:
        return None
    prepared = Prepared(
        settings=orders.settings,
        delivery=orders.delivery,
        source=source,
        composer=composer,
        proposal=orders.campaign,
        template=Path(orders.template),
        attachments=Path(orders.attachments),
        token_secret=orders.token_secret,
        test_to=parse_address(orders.test_to) if orders.test_to is not None else None,
    )
    return Intake(prepared, orders.campaign, date=orders.date, after=orders.after)


def _answer(intake: Intake, frames: Frames | None, row: Row) -> Answer | None:
    """Its message; None where the parent has to say what is wrong with it, or it carries files."""
    try:
        composed = intake.compose(row)
    except (InvalidRowError, TemplateError):
        return None
    if composed.attached:
        return None
    content = frames.compress(composed.content) if frames is not None else composed.content
    return Answer(composed.recipients, content, frames is not None, composed.unescaped)


def _read(stream: BinaryIO) -> bytes | None:
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    words = stream.read(length)
    return words if len(words) == length else None


def _write(stream: BinaryIO, answers: list[Answer | None]) -> None:
    words = msgspec.msgpack.encode(answers)
    stream.write(LENGTH.pack(len(words)) + words)
    stream.flush()


if __name__ == "__main__":
    # The parent says when it is over, by closing the socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with (
            socket.socket(fileno=sys.stdin.fileno()) as connection,
            connection.makefile("rb") as requests,
            connection.makefile("wb") as answers,
        ):
            serve(requests, answers)
    except (BrokenPipeError, ConnectionResetError):
        # It did so while we were answering.
        sys.exit(0)

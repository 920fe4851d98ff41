"""Damage: a key that does not hold what mailer wrote there, told as one error of the campaign it belongs to."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import ResponseError

from mailer.backends.redis.chunk_checks import UNREADABLE
from mailer.vocabulary.errors import QueueError

DAMAGED = "E518"
"""The code of a campaign that cannot be read; `where` is its id."""


def is_damage(error: Exception) -> bool:
    """True for what the content of a key makes wrong, False for what the server refuses and for everything else."""
    return isinstance(error, UNREADABLE) or (isinstance(error, ResponseError) and "WRONGTYPE" in str(error))


@contextmanager
def legible(campaign_id: str) -> Iterator[None]:
    """Whatever cannot be read in this block is damage to this campaign. Raises `QueueError` E518."""
    try:
        yield
    except (*UNREADABLE, ResponseError) as error:
        if not is_damage(error):
            raise
        raise damaged(campaign_id, error) from error


def damaged(campaign_id: str, error: Exception) -> QueueError:
    """E518: somebody else has written into the ledger, or a part of it is broken."""
    return QueueError(
        DAMAGED,
        f"what stands in the queue server for {campaign_id} cannot be read",
        where=campaign_id,
        why="A key of it holds something that mailer has not written, or is damaged.",
        hint=f"mailer status {campaign_id} --verify   names the chunk; put back the append-only file, or cancel it",
        safe="Nothing was changed, and nobody whose record cannot be read is sent to.",
        cause=str(error)[:200] or type(error).__name__,
    )

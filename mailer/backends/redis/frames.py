"""Messages as small frames: each compressed against the campaign's reference message."""

from typing import TYPE_CHECKING

from mailer.backends.redis.zstd import Codec, ZstdError, decompress
from mailer.policy.dot_stuffing import dot_stuff, is_complete
from mailer.vocabulary.envelope import MailData

if TYPE_CHECKING:
    from mailer.backends.redis.keys import Keys
    from mailer.backends.redis.server import Server

LEVEL = 1
"""Level 3 takes twice as long for frames that are three per cent smaller."""


class Frames:
    """Compresses and restores the messages of one campaign. The reference is one real message of it, used as is.

    A frame holds the message as the DATA command carries it, so that a worker need not look through it again.
    """

    def __init__(self, reference: bytes) -> None:
        self.has_reference = bool(reference)
        self._codec = Codec(LEVEL, reference)

    def compress(self, content: bytes) -> bytes:
        """One independent frame."""
        return self._codec.compress(dot_stuff(content))

    def restore(self, frame: bytes) -> MailData:
        """The message of a frame. Raises `ValueError` when it is damaged or larger than any message of ours."""
        try:
            data = self._codec.restore(frame)
        except ZstdError as error:
            raise ValueError(f"damaged frame: {error}") from error
        if not is_complete(data):
            raise ValueError("damaged frame: the message has no end")
        return MailData(data)


async def read_frames(redis: "Server", keys: "Keys", campaign_id: str) -> Frames:
    """The campaign's codec, made from its reference message."""
    reference = await redis.get(keys.base(campaign_id) + "ref")
    return Frames(decompress(reference) if reference is not None else b"")

"""Messages as small frames: each compressed against the campaign's reference message."""

from typing import TYPE_CHECKING

from mailer.backends.redis.zstd import Codec, ZstdError, decompress

if TYPE_CHECKING:
    from mailer.backends.redis.keys import Keys
    from mailer.backends.redis.server import Server

LEVEL = 1
"""Level 3 takes twice as long for frames that are three per cent smaller."""


class Frames:
    """Compresses and restores the messages of one campaign. The reference is one real message of it, used as is."""

    def __init__(self, reference: bytes) -> None:
        self._codec = Codec(LEVEL, reference)

    def compress(self, content: bytes) -> bytes:
        """One independent frame."""
        return self._codec.compress(content)

    def restore(self, frame: bytes) -> bytes:
        """The message of a frame. Raises `ValueError` when it is damaged or larger than any message of ours."""
        try:
            return self._codec.restore(frame)
        except ZstdError as error:
            raise ValueError(f"damaged frame: {error}") from error


async def read_frames(redis: "Server", keys: "Keys", campaign_id: str) -> Frames:
    """The campaign's codec, made from its reference message."""
    reference = await redis.get(keys.base(campaign_id) + "ref")
    return Frames(decompress(reference) if reference is not None else b"")

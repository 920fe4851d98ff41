"""Messages as small frames: each compressed against the campaign's reference message."""

from typing import TYPE_CHECKING

from mailer.backends.redis.zstd import ZstdCompressor, ZstdDecompressor, ZstdDict, ZstdError, decompress

if TYPE_CHECKING:
    from mailer.backends.redis.keys import Keys
    from mailer.backends.redis.server import Server

LEVEL = 3
MAX_CONTENT = 100 * 2**20
"""Bytes a frame may grow to: what is read back from Redis is not trusted."""


class Frames:
    """Compresses and restores the messages of one campaign. The reference is one real message of it, used as is."""

    def __init__(self, reference: bytes) -> None:
        # A dictionary of fewer than eight bytes is none; tiny messages need none either.
        self._dictionary = ZstdDict(reference, is_raw=True) if len(reference) >= 8 else None
        digested = self._dictionary.as_digested_dict if self._dictionary is not None else None
        self._compressor = ZstdCompressor(level=LEVEL, zstd_dict=digested)

    def compress(self, content: bytes) -> bytes:
        """One independent frame."""
        return self._compressor.compress(content, mode=ZstdCompressor.FLUSH_FRAME)

    def restore(self, frame: bytes) -> bytes:
        """The message of a frame. Raises `ValueError` when it is damaged or larger than any message of ours."""
        decompressor = ZstdDecompressor(zstd_dict=self._dictionary)
        try:
            content = decompressor.decompress(frame, max_length=MAX_CONTENT)
        except ZstdError as error:
            raise ValueError(f"damaged frame: {error}") from error
        if not decompressor.eof:
            raise ValueError("damaged frame: it does not end")
        return content


async def read_frames(redis: "Server", keys: "Keys", campaign_id: str) -> Frames:
    """The campaign's codec, made from its reference message."""
    reference = await redis.get(keys.base(campaign_id) + "ref")
    return Frames(decompress(reference) if reference is not None else b"")

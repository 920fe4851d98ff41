"""zstd with contexts that are kept: a new one for each message costs a worker more than the message itself.

What is read back is not trusted: it may not grow beyond `MAX_SIZE`. A context is used by one thread at a time.
"""

import threading
from functools import cache

import zstandard

ZstdError = zstandard.ZstdError
MAX_SIZE = 100 * 2**20
"""Bytes that a frame may grow to."""


class Codec:
    """Compresses and restores frames, all against the same dictionary: `reference`, used as it is."""

    def __init__(self, level: int, reference: bytes = b"") -> None:
        # A dictionary of fewer than eight bytes is none.
        raw = zstandard.DICT_TYPE_RAWCONTENT
        dictionary = zstandard.ZstdCompressionDict(reference, dict_type=raw) if len(reference) >= 8 else None
        if dictionary is not None:
            dictionary.precompute_compress(level=level)
        self._compressor = zstandard.ZstdCompressor(level=level, dict_data=dictionary)
        self._decompressor = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=2 * MAX_SIZE)

    def compress(self, content: bytes) -> bytes:
        """One independent frame, which tells its size."""
        # What comes keeps the room that it could have needed, some hundred times its size; a copy does not.
        return bytes(memoryview(self._compressor.compress(content)))

    def restore(self, frame: bytes) -> bytes:
        """The content of a frame. Raises `ZstdError` when it is damaged or larger than `MAX_SIZE`."""
        size = zstandard.frame_content_size(frame)
        if size > MAX_SIZE:
            raise ZstdError(f"a frame of {size} bytes")
        return self._decompressor.decompress(frame, max_output_size=MAX_SIZE, allow_extra_data=False)


def compress(content: bytes, level: int) -> bytes:
    """One frame without a dictionary."""
    return _codec(level, threading.get_ident()).compress(content)


def decompress(frame: bytes) -> bytes:
    """The content of a frame without a dictionary. Raises `ZstdError`."""
    return _codec(3, threading.get_ident()).restore(frame)


@cache
def _codec(level: int, thread: int) -> Codec:
    return Codec(level)

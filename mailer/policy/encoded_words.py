"""Encoded words: text of any script as the ASCII that a header can carry (RFC 2047)."""

from base64 import b64encode
from collections.abc import Iterator

MAX_WORD = 75
"""Characters of one encoded word (RFC 2047 section 2)."""
MIN_ROOM = 24
"""Characters in which any single character fits: four octets of UTF-8 as Q, and the 12 of `=?utf-8?q?` and `?=`."""

_FRAME = len("=?utf-8?q?" + "?=")
# The set that is safe everywhere, also in a display name (RFC 2047 section 5, rule 3).
_LITERAL = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")


def encode_words(text: str, *, first_room: int = MAX_WORD) -> list[str]:
    """Encode `text` as words of at most 75 characters, the first of at most `first_room` (no less than `MIN_ROOM`).

    UTF-8; Q or B, whichever is shorter; no character is split over two words (RFC 2047 section 5). Spaces are inside
    the words, since a decoder drops what stands between two of them (section 6.2). Raises UnicodeEncodeError on a lone
    surrogate.
    """
    quoted = [_quote(character) for character in text]
    sizes = [len(character.encode()) for character in text]
    rooms = min(max(first_room, MIN_ROOM), MAX_WORD) - _FRAME, MAX_WORD - _FRAME
    if sum(map(len, quoted)) <= 4 * -(-sum(sizes) // 3):
        return [f"=?utf-8?q?{''.join(quoted[cut])}?=" for cut in _cuts([len(piece) for piece in quoted], *rooms)]
    octets = [room // 4 * 3 for room in rooms]
    return [f"=?utf-8?b?{b64encode(text[cut].encode()).decode()}?=" for cut in _cuts(sizes, *octets)]


def _quote(character: str) -> str:
    if character in _LITERAL:
        return character
    if character == " ":
        return "_"
    return "".join(f"={octet:02X}" for octet in character.encode())


def _cuts(sizes: list[int], first: int, later: int) -> Iterator[slice]:
    """Cut a row of sizes into runs that fit: the first into `first`, each other one into `later`."""
    start, used, room = 0, 0, first
    for index, size in enumerate(sizes):
        if used + size > room:
            yield slice(start, index)
            start, used, room = index, 0, later
        used += size
    yield slice(start, len(sizes))

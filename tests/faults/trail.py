"""The trail: every change of every recipient's state, in order, read from what the queue server has written."""

import re
from collections import defaultdict
from collections.abc import Iterator

Value = tuple[str, int, str]
"""State letter, crashes, token."""
Place = tuple[int, int]
"""Chunk and index."""

_STATES = re.compile(rb"(?P<base>.*:)s:(?P<chunk>\d+)")
_ALLOWED = {
    "": "qUF",
    "q": "cUXF",
    "d": "cUXF",
    "c": "qdUXRFg",
    "g": "SRFdqIX",
}
"""By whom it may be is not told by the letters; crashes and tokens tell it. Out of an operator's hands: I, F, R."""


Trail = dict[Place, list[Value]]
"""What became of each recipient of one campaign."""


def read_trails(written: bytes) -> dict[str, Trail]:
    """The trail of every campaign, by what its keys begin with; read in one go, for a soak writes a great deal."""
    found: dict[str, Trail] = defaultdict(lambda: defaultdict(list))
    for words in _commands(written):
        if words[0].upper() == b"HSET" and (key := _STATES.fullmatch(words[1])) is not None:
            trail = found[key["base"].decode()]
            for index, value in zip(words[2::2], words[3::2], strict=True):
                if not index:  # the long value that makes a table of the hash (`claim.lua`); it is gone at once
                    continue
                text = value.decode()
                trail[int(key["chunk"]), int(index)].append((text[0], int(text[3]), text[4:]))
    return found


def wrong_steps(history: list[Value], *, is_decided: bool) -> list[str]:
    """The steps of one recipient that no rule allows, in words. `is_decided`: a decision about a doubt is on record."""
    found = []
    before: Value = ("", 0, "")
    for now in history:
        letter, crashes, token = now
        was, crashes_before, token_before = before
        by_operator = was in "IFR" and was and letter in "qSRF" and is_decided
        if now == before:
            found.append(f"{was} was written twice") if was not in "cg" else None
        elif letter not in _ALLOWED.get(was, "") and not by_operator:
            found.append(f"{was or 'nothing'} became {letter}")
        elif was == "g" and letter == "q" and crashes > crashes_before and not is_decided:
            found.append("somebody else gave back what was being sent")
        elif was in ("c", "g") and letter in "gSRFI" and token != token_before:
            found.append(f"{was} became {letter} by another token")
        before = now
    return found


def _commands(written: bytes) -> Iterator[list[bytes]]:
    at, end = 0, len(written)
    while at < end:
        line_end = written.find(b"\r\n", at)
        if line_end < 0:
            return
        if written[at : at + 1] != b"*":
            at = line_end + 2
            continue
        words = []
        count = int(written[at + 1 : line_end])
        at = line_end + 2
        for _ in range(count):
            line_end = written.find(b"\r\n", at)
            if line_end < 0:
                return
            length = int(written[at + 1 : line_end])
            words.append(written[line_end + 2 : line_end + 2 + length])
            at = line_end + 4 + length
        if words:
            yield words


def marks(history: list[Value]) -> int:
    """How often a message to this recipient was about to go out."""
    return len(re.findall("g+", "".join(letter for letter, _, _ in history)))

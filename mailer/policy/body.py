"""Bodies as a template writes them: text that knows which of its lines stand in every message."""

from collections.abc import Callable, Iterable

LONG = 200
"""Characters from which a piece of a body is looked up; what is shorter is encoded as fast as it is found."""
MAX_KEPT = 1_000_000
"""Characters of the pieces that are remembered, the last one apart."""


class Block:
    """Whole lines, the last one with its end, that come again. Encoded and searched once."""

    __slots__ = ("_encoded", "_signs", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._encoded: bytes | None = None
        self._signs: dict[str, bool] = {}

    def encoded(self, encode: Callable[[str], bytes]) -> bytes:
        """What `encode`, always the same function, makes of it. Raises what that raises."""
        if self._encoded is None:
            self._encoded = encode(self._text)
        return self._encoded

    def has(self, sign: str) -> bool:
        """True where `sign`, one of a few, is in it."""
        if (found := self._signs.get(sign)) is None:
            found = self._signs[sign] = sign in self._text
        return found


class Body(str):
    """A rendered body. What is made of it is plain text again, which nothing is known about.

    It is `between[0] blocks[0] between[1] blocks[1] … between[-1]`; blocks begin and end where lines do.
    """

    __slots__ = ("between", "blocks")
    between: tuple[str, ...]
    blocks: tuple[Block, ...]

    def has(self, sign: str) -> bool:
        """True where `sign`, a few characters without a line end, is in it."""
        return any(sign in text for text in self.between) or any(block.has(sign) for block in self.blocks)


class Blocks:
    """Makes bodies of the pieces that a template writes. A long piece that comes again is taken apart once.

    Threads may share one.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known = _Known()

    def body(self, pieces: Iterable[str]) -> Body:
        """The body of these pieces."""
        pieces = list(pieces)
        between: list[str] = []
        blocks: list[Block] = []
        begun: list[str] = []
        for piece in pieces:
            if len(piece) < LONG or (parts := self._known[piece]) is None:
                begun.append(piece)
            else:
                head, block, tail = parts
                between.append("".join((*begun, head)))
                blocks.append(block)
                begun = [tail]
        between.append("".join(begun))
        body = Body("".join(pieces))
        body.between, body.blocks = tuple(between), tuple(blocks)
        return body


class _Known(dict[str, tuple[str, Block, str] | None]):
    """Pieces, and each as the rest of a line, a block, and the beginning of a line. Too many, and all are forgotten."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        super().__init__()
        self._kept = 0

    def __missing__(self, piece: str) -> tuple[str, Block, str] | None:
        parts = _apart(piece)
        if self._kept > MAX_KEPT:
            self.clear()
            self._kept = 0
        self[piece] = parts
        self._kept += len(piece)
        return parts


def _apart(piece: str) -> tuple[str, Block, str] | None:
    begin, end = piece.find("\n") + 1, piece.rfind("\n") + 1
    # A CR may be half of a line end; where there is one, only the whole text tells.
    if begin == end or "\r" in piece:
        return None
    return piece[:begin], Block(piece[begin:end]), piece[end:]

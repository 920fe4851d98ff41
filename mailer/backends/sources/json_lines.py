"""JSON Lines: one object a line (jsonlines.org), streamed."""

from collections.abc import Iterable, Iterator

import msgspec

from mailer.backends.sources.content import Content
from mailer.backends.sources.lines import damage
from mailer.interfaces.source import Row, Value
from mailer.vocabulary.errors import SourceError

MAX_DEPTH = 100
"""Lists and objects inside each other. The interpreter's own limit differs from version to version."""

_TOO_DEEP = f"more than {MAX_DEPTH} lists and objects inside each other"


class JsonLines:
    """A list with one JSON object a line; its values may be nested. A `RecipientSource`.

    Of two equal keys in one object the last one counts, as everywhere in JSON.
    """

    columns = None
    """Nothing declares them; every row may have its own."""
    trimmed: tuple[str, ...] = ()
    """No name is changed."""

    def __init__(self, content: Content) -> None:
        self._content = content

    @property
    def name(self) -> str:
        """How messages call it."""
        return self._content.name

    @property
    def content_hash(self) -> str | None:
        """SHA-256 of the file, None for standard input."""
        return self._content.sha256

    @property
    def is_repeatable(self) -> bool:
        """True where it can be read again."""
        return self._content.is_repeatable

    def rows(self) -> Iterator[Row]:
        """Read from the beginning. Blank lines are no rows.

        Raises `SourceError`: E204 a line is damaged or no object, E207 there is none, E201 the file changed.
        """
        decode = msgspec.json.Decoder().decode
        number = 0
        with self._content.lines() as lines:
            for line, text in enumerate(lines.read(), start=1):
                lines.held = 0
                if text.isspace():
                    continue
                try:
                    value: Value = decode(text)
                except RecursionError:
                    raise damage(self.name, line, _TOO_DEEP) from None
                except msgspec.DecodeError as error:
                    reason = str(error).removeprefix("JSON is malformed: ")
                    raise damage(self.name, line, f"not a JSON object: {reason}") from error
                if not isinstance(value, dict):
                    raise damage(self.name, line, f"{_kind(value)}, not a JSON object", hint='{"email": "a@b.example"}')
                # Counting brackets is cheap, and hardly any row has as many.
                if text.count("[") + text.count("{") > MAX_DEPTH and _is_too_deep(value):
                    raise damage(self.name, line, _TOO_DEEP)
                number += 1
                yield Row(number, value, line)
        if number == 0:
            raise SourceError("E207", f"{self.name} has no recipients", hint="a line with an object for each recipient")


def _is_too_deep(value: Value) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
    return any(isinstance(inner, dict | list) for inner in level)


def _inside(value: Value) -> Iterable[Value]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _kind(value: Value) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "a string"
        case list():
            return "a list"
    return "a number"

"""A TOML file: its tables, and the line where a key stands, which the parser does not tell."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mailer.vocabulary.errors import UsageError

_POSITION = re.compile(r" \(at (?:line (?P<line>\d+), column \d+|end of document)\)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlFile:
    """One file that was read: `path` as it was named, the tables below `root` (`("tool", "mailer")` or the top)."""

    path: Path
    root: tuple[str, ...]
    text: str = field(repr=False)
    tables: Mapping[str, object] = field(repr=False)

    def place_of(self, key: str) -> str:
        """`mailer.toml:9` for a section or a full key (`smtp.url`); the bare path where the line cannot be told."""
        line = self._line_of((*self.root, *key.split(".", 1)))
        return str(self.path) if line is None else f"{self.path}:{line}"

    def _line_of(self, path: tuple[str, ...]) -> int | None:
        """The line on which the statement begins that brings the key in.

        It begins at line n when the lines before n are a whole document without the key, and the shortest whole
        document that goes beyond them has it. So the parser itself judges every way to write TOML; only lines
        that contain the name are tried.
        """
        lines = [f"{line}\n" for line in self.text.split("\n")]
        name = re.compile(rf"(?<![\w-]){re.escape(path[-1])}(?![\w-])")
        for index, line in enumerate(lines):
            if not name.search(line) or _has(_parsed("".join(lines[:index])), path) is not False:
                continue
            longer = (_parsed("".join(lines[:end])) for end in range(index + 1, len(lines) + 1))
            if _has(next((tables for tables in longer if tables is not None), None), path):
                return index + 1
        return None


def read_toml(path: Path, *, root: tuple[str, ...] = ()) -> TomlFile | None:
    """Read a TOML file; None when it has no table at `root`.

    Raises:
        UsageError: E108 when it is missing or cannot be read, E110 with the line when it is not TOML.
    """
    text = _text(path)
    tables: object = _tables(path, text)
    for name in root:
        tables = tables.get(name) if isinstance(tables, dict) else None
    return TomlFile(path=path, root=root, text=text, tables=tables) if isinstance(tables, dict) else None


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UsageError("E108", f"there is no file {path}", hint="check the name and the folder") from None
    except OSError as error:
        raise UsageError("E108", f"{path} cannot be read", why=error.strerror) from None
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
    # Raised out here, because the exception above holds the whole content.
    raise UsageError("E110", f"{path} is not UTF-8 text", where=f"{path}:{line}")


def _tables(path: Path, text: str) -> dict[str, object]:
    """Parse. Neither the line nor the parser's exception goes on: a password may stand there that nobody quoted."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = _POSITION.search(str(error))
        what = _POSITION.sub("", str(error))
        line = int(match["line"]) if match and match["line"] else text.count("\n") + 1
        place = f"{path}:{line}"
    except RecursionError:
        what, place = "Nested too deeply", str(path)
    raise UsageError(
        "E110", f"{path} is not TOML: {what}", where=place, hint='a value is a number, true, "text", or a list of them'
    )


def _parsed(text: str) -> dict[str, object] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _has(tables: object, path: tuple[str, ...]) -> bool | None:
    """Whether the key is there; None for what is not a document."""
    if tables is None:
        return None
    for name in path:
        if not isinstance(tables, dict) or name not in tables:
            return False
        tables = tables[name]
    return True

"""Template files: regular UTF-8 files below one root, whatever a name or a link would rather have."""

import os
import re
import stat
from difflib import get_close_matches
from pathlib import Path, PurePath

from mailer.vocabulary.errors import TemplateError

MAX_SOURCE = 1_000_000
"""Bytes of a template file."""
MAX_FILES = 1_000
"""Files below a root, where a template chooses one by a value."""

# Quotes and control characters in a file's name have reached compiled code before (CVE-2024-56201).
_SEGMENT = re.compile(r"""[^\x00-\x1f\x7f-\x9f/\\:'"\u2028\u2029]+""")


def read_template(root: Path, name: str, *, shown: PurePath) -> str | None:
    """The text of the file `name` below `root`, folders separated by `/`; None where there is no such file.

    Raises `TemplateError` E303 when the name leaves the root, also by a symbolic link, or the file is not a regular
    one, too large, or not UTF-8; `shown` is what it calls the root. A byte order mark is dropped.
    """
    content = read_regular(root, name, shown=shown, code="E303", most=MAX_SOURCE)
    return None if content is None else _decode((shown / name).as_posix(), content)


def read_regular(root: Path, name: str, *, shown: PurePath, code: str, most: int) -> bytes | None:
    """The regular file `name` below `root`, of at most `most` bytes; None where there is none.

    Raises `TemplateError` with this code when the name leaves the root, also by a symbolic link, or the file is too
    large or not a regular one. Nothing but a regular file is ever read.
    """
    place = (shown / name).as_posix()
    segments = name.split("/")
    if any(segment in (".", "..") or _SEGMENT.fullmatch(segment) is None for segment in segments):
        message, hint = f"{name!r} is not the name of a file below {shown}", f"put a copy below {shown}, and name that"
        raise TemplateError(code, message, hint=hint)
    try:
        path = root.joinpath(*segments).resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, RuntimeError) as error:
        raise TemplateError(code, f"{place} cannot be read", cause=str(error)) from None
    if not path.is_relative_to(root.resolve()):
        why, hint = "It is a symbolic link to another place.", f"put a copy of the file in the place of {place}"
        raise TemplateError(code, f"{place} leads out of {shown}", why=why, hint=hint)
    return _read(place, path, code, most)


def nearest_name(root: Path, name: str) -> str | None:
    """The file below `root` that somebody who wrote `name` may have meant: called the same elsewhere, or nearly so."""
    try:
        names = _names_below(root)
    except TooManyFilesError:
        return None
    last = name.rpartition("/")[2]
    near = [other for other in names if other.rpartition("/")[2] == last] or get_close_matches(name, names, n=1)
    return near[0] if near else None


class TooManyFilesError(Exception):
    """There are more than `MAX_FILES` files below a root."""


def _names_below(root: Path) -> list[str]:
    names: list[str] = []
    for folder, _, files in os.walk(root):
        names += [Path(folder, file).relative_to(root).as_posix() for file in files]
        if len(names) > MAX_FILES:
            raise TooManyFilesError
    return sorted(names)


def read_all_templates(root: Path, *, shown: PurePath) -> dict[str, str]:
    """Every template below `root` by name, for a template that chooses one by a value; what is no text is left out.

    Raises `TemplateError` E303 when there are more than `MAX_FILES` files.
    """
    try:
        names = _names_below(root)
    except TooManyFilesError:
        why = "A template below it chooses another one by a value, so all of them are needed."
        raise TemplateError("E303", f"{shown} has more than {MAX_FILES} files", why=why) from None
    sources = {}
    for name in names:
        try:
            source = read_template(root, name, shown=shown)
        except TemplateError:
            continue
        if source is not None:
            sources[name] = source
    return sources


def _read(shown: str, path: Path, code: str, most: int) -> bytes:
    try:
        # O_NONBLOCK: opening a FIFO must not wait for its writer. The path is resolved, so any link in it is a new one.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise TemplateError(code, f"{shown} is not a regular file")
            if status.st_size > most:
                raise TemplateError(code, f"{shown} has {status.st_size} bytes, at most {most} are possible")
            return file.read(most)
    except OSError as error:
        raise TemplateError(code, f"{shown} cannot be read", why=error.strerror, cause=str(error)) from None


def _decode(shown: str, content: bytes) -> str:
    hint = f"iconv -f UTF-16 -t UTF-8 {shown}   (or from whatever the editor wrote)"
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise TemplateError("E303", f"{shown} is not UTF-8", where=f"{shown}:{line}", hint=hint) from None
    if "\0" in text:
        raise TemplateError("E303", f"{shown} is not UTF-8 text", why="It holds NUL, as UTF-16 does.", hint=hint)
    return text

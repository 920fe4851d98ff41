"""Template files: regular UTF-8 files below one root, whatever a name or a link would rather have."""

import os
import re
import stat
from pathlib import Path

from mailer.vocabulary.errors import TemplateError

MAX_SOURCE = 1_000_000
"""Bytes of a template file."""
MAX_FILES = 1_000
"""Files below a root, where a template chooses one by a value."""

# Quotes and control characters in a file's name have reached compiled code before (CVE-2024-56201).
_SEGMENT = re.compile(r"""[^\x00-\x1f\x7f-\x9f/\\:'"\u2028\u2029]+""")


def read_template(root: Path, name: str) -> str | None:
    """The text of the file `name` below `root`, folders separated by `/`; None where there is no such file.

    Raises `TemplateError` E303 when the name leaves the root, also by a symbolic link, or the file is not a regular
    one, too large, or not UTF-8. A byte order mark is dropped. Nothing but a regular file is ever read.
    """
    shown = (root / name).as_posix()
    segments = name.split("/")
    if any(segment in (".", "..") or _SEGMENT.fullmatch(segment) is None for segment in segments):
        raise TemplateError("E303", f"{name!r} is not the name of a file below {root}")
    try:
        path = root.joinpath(*segments).resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, RuntimeError) as error:
        raise TemplateError("E303", f"{shown} cannot be read", cause=str(error)) from None
    if not path.is_relative_to(root.resolve()):
        raise TemplateError("E303", f"{shown} leads out of {root}", why="It is a symbolic link to another place.")
    return _decode(shown, _read_regular(shown, path))


def read_all_templates(root: Path) -> dict[str, str]:
    """Every template below `root` by name, for a template that chooses one by a value; what is no text is left out.

    Raises `TemplateError` E303 when there are more than `MAX_FILES` files.
    """
    names = []
    for folder, _, files in os.walk(root):
        names += [Path(folder, file).relative_to(root).as_posix() for file in files]
        if len(names) > MAX_FILES:
            why = "A template below it chooses another one by a value, so all of them are needed."
            raise TemplateError("E303", f"{root} has more than {MAX_FILES} files", why=why)
    sources = {}
    for name in sorted(names):
        try:
            source = read_template(root, name)
        except TemplateError:
            continue
        if source is not None:
            sources[name] = source
    return sources


def _read_regular(shown: str, path: Path) -> bytes:
    try:
        # O_NONBLOCK: opening a FIFO must not wait for its writer. The path is resolved, so any link in it is a new one.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise TemplateError("E303", f"{shown} is not a regular file")
            if status.st_size > MAX_SOURCE:
                raise TemplateError("E303", f"{shown} has {status.st_size} bytes, at most {MAX_SOURCE} are possible")
            return file.read(MAX_SOURCE)
    except OSError as error:
        raise TemplateError("E303", f"{shown} cannot be read", why=error.strerror, cause=str(error)) from None


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

"""Attached files: found below the campaign's folder, hashed once, and read again only to be stored."""

import hashlib
import os
import re
import stat
from collections import OrderedDict
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import BinaryIO

from mailer.policy.attachment_marks import encoded_size
from mailer.vocabulary.chunk import Attached
from mailer.vocabulary.errors import TemplateError
from mailer.vocabulary.reply import sanitise

MAX_SIZE = 25 * 10**6
"""Bytes of a message, and so of an encoded file, unless the campaign says otherwise."""

_REMEMBERED = 10_000
"""Files whose hash is kept: about 5 MB."""
_PIECE = 1 << 20
_MAX_PATH = 1_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_Identity = tuple[int, int, int, int]


class AttachmentFolder:
    """Finds attached files below `root`, by the path that a template rendered. Threads may share it.

    A hash is computed once for as long as the file stays as it is (device, inode, size and modification time).

    Args:
        root: The campaign's folder. Nothing outside of it is attached, whatever `..` or a symbolic link says.
        max_size: Bytes that a message may have; a file that alone is larger is not even read.
    """

    def __init__(self, root: Path, *, max_size: int = MAX_SIZE) -> None:
        self._root = root
        self._real_root = root.resolve()
        self._max_size = max_size
        self._known: OrderedDict[str, tuple[_Identity, Attached]] = OrderedDict()

    def __call__(self, path: str) -> Attached:
        """The file at `path`, relative to the root and separated by `/`.

        Raises:
            TemplateError: E309 it is missing, outside, not a regular file, or cannot be read; E308 it is too large for
                any message.
        """
        known = self._known.get(path)
        if known is not None and self._is_same(path, known[0]):
            return known[1]
        real = self._resolve(path)
        with _open(real, path) as file:
            status = os.fstat(file.fileno())
            if encoded_size(status.st_size) > self._max_size:
                message = f"{path} has {status.st_size} bytes, and a message at most {self._max_size}, base64 included"
                raise TemplateError("E308", message, hint="make it smaller, or raise delivery.max_message_size")
            digest, size = _hash(file, path)
        read = partial(self._read, path, digest)
        attached = Attached(digest=digest, size=size, name=Path(path).name, read=read)
        self._known[path] = _identity(status), attached
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return attached

    def _is_same(self, path: str, identity: _Identity) -> bool:
        """True where the path still leads to the file that was hashed; a link to another one would be noticed."""
        try:
            return _identity((self._root / path).stat()) == identity
        except OSError:
            return False

    def _resolve(self, path: str) -> Path:
        shown = sanitise(path[:_MAX_PATH])
        if len(path) > _MAX_PATH or _CONTROL.search(path) is not None or "\\" in path:
            why = "A path has no control characters, folders are separated by /, and it is not endless."
            raise TemplateError("E309", f"{shown!r} is not the path of a file to attach", why=why)
        if path.startswith("/") or ".." in path.split("/"):
            raise self._outside(shown, "The path leads there.")
        try:
            real = (self._root / path).resolve(strict=True)
        except (FileNotFoundError, NotADirectoryError):
            raise TemplateError(
                "E309",
                f"there is no file {shown} to attach",
                why=f"Paths are relative to {self._real_root}.",
                hint=self._nearest(path),
            ) from None
        except (OSError, RuntimeError) as error:
            raise TemplateError("E309", f"{shown} cannot be read", cause=str(error)) from None
        if not real.is_relative_to(self._real_root):
            raise self._outside(shown, "It is a symbolic link to another place.")
        return real

    def _outside(self, shown: str, why: str) -> TemplateError:
        hint = f"put a copy into {self._real_root}, and give its path from there"
        return TemplateError("E309", f"{shown} is outside of the campaign's folder", why=why, hint=hint)

    def _nearest(self, path: str) -> str | None:
        """The file in the same folder with the most similar name."""
        folder, _, name = path.rpartition("/")
        try:
            with os.scandir(self._resolve(folder) if folder else self._real_root) as entries:
                names = [entry.name for entry in entries if entry.is_file()]
        except (OSError, TemplateError):
            return None
        near = get_close_matches(name, names, n=1)
        return f"did you mean {sanitise(f'{folder}/{near[0]}' if folder else near[0])}?" if near else None

    def _read(self, path: str, digest: str) -> bytes:
        """The content, once more. Raises `TemplateError` E309, or E310 when it is no longer what was hashed."""
        with _open(self._resolve(path), path) as file:
            try:
                content = file.read(self._max_size + 1)
            except OSError as error:
                raise _unreadable(path, error) from None
        if hashlib.sha256(content).hexdigest() != digest:
            raise TemplateError(
                "E310",
                f"{path} changed while it was being attached",
                why="The messages would not all carry the same file.",
                hint="run it again when nothing writes to the file",
            )
        return content


def _identity(status: os.stat_result) -> _Identity:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _open(real: Path, path: str) -> BinaryIO:
    """Open a regular file and nothing else; `real` has no link in it, so any link that is met is a new one."""
    try:
        # O_NONBLOCK: opening a FIFO must not wait for its writer.
        descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(path, error) from None
    file = os.fdopen(descriptor, "rb") if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    if file is None:
        os.close(descriptor)
        raise TemplateError("E309", f"{path} is not a regular file", hint="name a file, not a folder or a device")
    return file


def _hash(file: BinaryIO, path: str) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    try:
        while piece := file.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    except OSError as error:
        raise _unreadable(path, error) from None
    return digest.hexdigest(), size


def _unreadable(path: str, error: OSError) -> TemplateError:
    hint = f"chmod u+r {path}" if isinstance(error, PermissionError) else None
    return TemplateError("E309", f"{path} cannot be read", why=error.strerror, hint=hint, cause=str(error))

"""Files placed into a folder: all of them or none, and over nothing that is there."""

import errno
import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from mailer.vocabulary.errors import UsageError


def place(folder: Path, files: Mapping[str, str], *, force: bool) -> None:
    """Write texts by their paths below `folder`, which is made if need be; other files in it stay as they are.

    Raises `UsageError`, and nothing is changed: E135 when one of the files is there and `force` is not given, E112 when
    the disk does not take them.
    """
    present = [name for name in files if os.path.lexists(folder / name)]
    if present and not force:
        raise UsageError(
            "E135",
            f"{_listed(present)} {'is' if len(present) == 1 else 'are'} there already",
            where=str(folder),
            hint="name another folder, or overwrite with --force",
            safe="Nothing was written.",
        )
    try:
        _place(folder, files)
    except OSError as error:
        raise UsageError(
            "E112",
            f"{error.filename or folder} could not be written: {error.strerror or error}",
            hint="make room or name another folder, then run the same command again",
            safe="Nothing was written, and what was there is unchanged.",
            cause=repr(error),
        ) from error


def _place(folder: Path, files: Mapping[str, str]) -> None:
    with ExitStack() as undo:
        for name in files:
            _make_folder((folder / name).parent, undo)
        with TemporaryDirectory(prefix=".mailer-", dir=folder) as staged, ExitStack() as take_back:
            for number, text in enumerate(files.values()):
                (Path(staged) / str(number)).write_bytes(text.encode())
            # All is on the disk; what follows are renames only.
            for number, name in enumerate(files):
                _swap(Path(staged) / str(number), folder / name, take_back)
            take_back.pop_all()
        undo.pop_all()


def _make_folder(folder: Path, undo: ExitStack) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent, undo)
        folder.mkdir()
        undo.callback(folder.rmdir)


def _swap(new: Path, target: Path, take_back: ExitStack) -> None:
    """Move a file to its place; what was there waits beside the new ones until all are in theirs."""
    if os.path.lexists(target):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
        old = new.with_suffix(".old")
        os.rename(target, old)
        take_back.callback(os.rename, old, target)
    os.rename(new, target)
    take_back.callback(os.unlink, target)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

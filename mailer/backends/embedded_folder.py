"""The embedded server's folder: private, owned by one server at a time, with a note of who wrote the data."""

import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from mailer.backends.embedded_program import Program
from mailer.vocabulary.errors import QueueError

_LONGEST_SOCKET = 100  # bytes; the kernels take 103 (macOS) and 107 (Linux)


class Folder:
    """The folder `path`. Whoever holds the lock of its `server.lock` is the server, or is just starting it.

    The starter takes the lock and the server inherits it, so it is free exactly when no server lives: no pid file that
    may be stale, and never two servers on the same data.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.log = self.path / "server.log"

    def prepare(self) -> None:
        """Create the folder, or make it private (0700).

        Raises:
            QueueError: E504 when it belongs to somebody else, is shared, or cannot be created.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                self.path.mkdir(mode=0o700)
            found = self.path.stat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & stat.S_IWOTH:
                raise _unusable(self.path, "It has to be a folder of your own that nobody else may write to.")
            if stat.S_IMODE(found.st_mode) != 0o700:
                self.path.chmod(0o700)
        except OSError as error:
            raise _unusable(self.path, str(error)) from error

    @property
    def socket(self) -> Path:
        """Where the server listens; a symbolic link stands there when the socket itself had to go to a short path."""
        link = self.path / "server.sock"
        return link.readlink() if link.is_symlink() else link

    def place_socket(self) -> Path:
        """Choose where the server will listen; only the holder of the lock may call this. Raises QueueError (E504)."""
        link = self.path / "server.sock"
        if not link.is_symlink() and _fits(link):
            return link
        # The place is written down as a link: another command may see another XDG_RUNTIME_DIR, or none.
        link.unlink(missing_ok=True)
        place = _short_folder(self.path) / "s"
        link.symlink_to(place)
        return place

    def give_up_socket(self) -> None:
        """Remove a short path that nobody listens at any more; only the holder of the lock may call this."""
        link = self.path / "server.sock"
        if not link.is_symlink():
            return
        place = link.readlink()
        link.unlink()
        with suppress(OSError):
            place.unlink(missing_ok=True)
            place.parent.rmdir()

    @contextmanager
    def claimed(self) -> Iterator[int | None]:
        """The lock's descriptor, to be inherited by the server; None while a server lives. Let go of at the end."""
        with self._opened_lock(os.O_RDWR | os.O_CREAT) as descriptor:
            yield descriptor if _locked(descriptor) else None

    @property
    def is_claimed(self) -> bool:
        """True while a server lives (or is being started) in this folder."""
        try:
            with self._opened_lock(os.O_RDWR) as descriptor:
                return not _locked(descriptor)
        except FileNotFoundError:
            return False

    def written_by(self) -> Program | None:
        """The program that last wrote the data; None when there was none or the note is damaged."""
        try:
            return Program(**json.loads((self.path / "server.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def note(self, program: Program) -> None:
        """Write down which program writes the data from now on."""
        with tempfile.NamedTemporaryFile("w", dir=self.path, delete=False) as note:
            json.dump(asdict(program), note)
        Path(note.name).replace(self.path / "server.json")

    @property
    def data_bytes(self) -> int:
        """Bytes of the append-only files."""
        total = 0
        for file in (self.path / "appendonlydir").glob("*"):
            # A rewrite may remove it meanwhile.
            with suppress(OSError):
                total += file.stat().st_size
        return total

    def last_words(self, lines: int = 5) -> str:
        """The last lines of the server's log."""
        try:
            return "\n".join(self.log.read_text(errors="backslashreplace").splitlines()[-lines:])
        except OSError:
            return ""

    @contextmanager
    def _opened_lock(self, flags: int) -> Iterator[int]:
        descriptor = os.open(self.path / "server.lock", flags, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _locked(descriptor: int) -> bool:
    import fcntl  # there is none on Windows, where this module is imported all the same

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _fits(socket: Path) -> bool:
    # A name that needs quoting in a URL is read differently by different clients: it moves to a short path as well.
    return len(os.fsencode(socket)) <= _LONGEST_SOCKET and quote(str(socket)) == str(socket)


def _short_folder(path: Path) -> Path:
    name = f"mailer-{os.geteuid()}-{sha256(os.fsencode(path)).hexdigest()[:16]}"
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    # Not the temporary folder of the environment: on macOS that is a long path itself.
    parent = Path("/tmp")  # noqa: S108 - short everywhere; the folder in it is checked to be ours alone
    if runtime.is_absolute() and runtime.is_dir() and _fits(runtime / name / "s"):
        parent = runtime
    folder = parent / name
    try:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
    except OSError as error:
        raise _unusable(folder, str(error)) from error
    # In /tmp anyone could have made it before us, as a folder or as a link to one, and would hold our socket.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise _unusable(folder, "Somebody else made it, or may enter it: the socket would not be private.")
    return folder


def _unusable(folder: Path, why: str) -> QueueError:
    return QueueError(
        "E504",
        f"the embedded queue cannot use the folder {folder}",
        why=why,
        hint="MAILER_DATA_DIR=~/.local/state/mailer, or another folder of your own",
    )

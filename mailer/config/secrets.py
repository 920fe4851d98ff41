"""The SMTP password, and where it may come from."""

import os
import shlex
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

from mailer.vocabulary.errors import UsageError

_VARIABLE = "MAILER_SMTP_PASSWORD"
_FILE = "MAILER_SMTP_PASSWORD_FILE"
_COMMAND = "MAILER_SMTP_PASSWORD_COMMAND"
_TOKEN = "MAILER_TOKEN_SECRET"  # noqa: S105 (its name, not the secret)
_TOKEN_FILE = "MAILER_TOKEN_SECRET_FILE"  # noqa: S105 (likewise)
_SHORTEST_TOKEN_SECRET = 16
_LONGEST = 4096
_CONTAINER_SECRETS = Path("/run/secrets")


class Secret(str):
    """A text whose repr hides it, so that no dataclass, key-value log line or traceback shows it by accident.

    `str`, formatting and encoders still give the text itself: a login that sent `***` would be a worse surprise.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(***)"


def smtp_password(environ: Mapping[str, str], *, timeout: float = 30.0) -> Secret | None:
    """The password from the one of the three variables that is set, or None. `timeout` is the command's, in seconds.

    `MAILER_SMTP_PASSWORD` is the password, `…_FILE` a file and `…_COMMAND` a command (run without a shell) whose first
    line it is. Blocks while the command runs: call it before the event loop does.

    Raises:
        UsageError: E106 when two are set, when a file cannot be read, is empty or readable by everybody, or when a
            command fails. Neither the file's content nor the command's output is ever shown.
    """
    named = [name for name in (_VARIABLE, _FILE, _COMMAND) if environ.get(name)]
    if len(named) > 1:
        raise UsageError(
            "E106",
            f"the SMTP password is given {len(named)} times",
            where=" and ".join(named),
            hint="unset all but one",
        )
    if _VARIABLE in named:
        return Secret(environ[_VARIABLE])
    if _FILE in named:
        return _from_file(Path(environ[_FILE]))
    return _from_command(environ, timeout) if _COMMAND in named else None


def token_secret(environ: Mapping[str, str]) -> bytes | None:
    """The key of `{{ token }}`, from `MAILER_TOKEN_SECRET` or the first line of the `…_FILE`; None when there is none.

    Raises:
        UsageError: E106 when both are set, when it is shorter than 16 characters, or when the file is unfit.
    """
    given, file = environ.get(_TOKEN), environ.get(_TOKEN_FILE)
    if given and file:
        raise UsageError(
            "E106", "the token secret is given twice", where=f"{_TOKEN} and {_TOKEN_FILE}", hint="unset one"
        )
    if not given and not file:
        return None
    where = _TOKEN if given else _TOKEN_FILE
    secret = given or _from_file(Path(str(file)), "token secret", where)
    if len(secret) < _SHORTEST_TOKEN_SECRET:
        raise UsageError(
            "E106",
            f"the token secret is shorter than {_SHORTEST_TOKEN_SECRET} characters",
            where=where,
            hint="openssl rand -hex 32   makes a good one",
        )
    return secret.encode()


def _from_file(path: Path, what: str = "SMTP password", where: str = _FILE) -> Secret:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            line = file.readline(_LONGEST)
    except OSError as error:
        raise UsageError("E106", f"the {what} file {path} cannot be read", where=where, why=error.strerror) from None
    if stat.S_ISREG(mode) and mode & stat.S_IROTH and not _is_container_secret(path):
        raise UsageError(
            "E106",
            f"every user of this machine can read the {what} in {path}",
            where=where,
            hint=f"chmod 600 {path}",
        )
    return _first_line(line, where=where, source=str(path))


def _is_container_secret(path: Path) -> bool:
    """Docker mounts secrets there with mode 0444, which nobody outside the container can use."""
    return path.resolve().is_relative_to(_CONTAINER_SECRETS)


def _from_command(environ: Mapping[str, str], timeout: float) -> Secret:
    try:
        arguments = shlex.split(environ[_COMMAND])
    except ValueError:
        arguments = []
    if not arguments:
        raise UsageError("E106", "the SMTP password command has an open quote or no program", where=_COMMAND)
    output, trouble = _run(arguments, environ, timeout)
    if trouble is not None:
        raise UsageError("E106", f"the SMTP password command {trouble}", where=_COMMAND, hint="run it by hand")
    return _first_line(output.partition(b"\n")[0], where=_COMMAND, source="the command")


def _run(arguments: list[str], environ: Mapping[str, str], timeout: float) -> tuple[bytes, str | None]:
    """Output and trouble. The exceptions end here: they carry the output."""
    try:
        # No stdin: `mailer send -` reads its recipients there.
        done = subprocess.run(  # noqa: S603  # the user's own command, without a shell
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environ),
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return b"", f"did not answer in {timeout:g} s"
    except (OSError, ValueError):
        return b"", "could not be started"
    return done.stdout, None if done.returncode == 0 else f"failed with exit code {done.returncode}"


def _first_line(line: bytes, *, where: str, source: str) -> Secret:
    try:
        password = line.rstrip(b"\r\n").decode()
    except UnicodeDecodeError:
        password = ""
    if not password:
        raise UsageError("E106", f"the first line of {source} is empty or not UTF-8 text", where=where)
    return Secret(password)

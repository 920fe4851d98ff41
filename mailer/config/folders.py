"""The user's folders, as the XDG base directory specification has them."""

from collections.abc import Mapping
from pathlib import Path

from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.settings import QueueSettings


def user_file(environ: Mapping[str, str]) -> Path | None:
    """`$XDG_CONFIG_HOME/mailer/config.toml`, by default below `~/.config`; None without a home folder."""
    folder = _folder(environ, "XDG_CONFIG_HOME", ".config")
    return folder / "mailer" / "config.toml" if folder else None


def data_dir(queue: QueueSettings, environ: Mapping[str, str]) -> Path:
    """The folder of the embedded server: `queue.data_dir`, else `$XDG_STATE_HOME/mailer` or `~/.local/state/mailer`.

    Raises:
        UsageError: E116 when nothing tells where it should be.
    """
    if queue.data_dir is not None:
        return queue.data_dir
    folder = _folder(environ, "XDG_STATE_HOME", ".local/state")
    if folder is None:
        raise UsageError(
            "E116",
            "there is no place for the embedded queue: the environment names no home folder",
            hint="MAILER_DATA_DIR=/var/lib/mailer",
        )
    return folder / "mailer"


def expanded(path: Path, folder: Path, environ: Mapping[str, str]) -> Path:
    """The path itself when absolute, below the home folder after `~/`, else below `folder`."""
    home = environ.get("HOME")
    if path.parts[:1] == ("~",) and home:
        return Path(home, *path.parts[1:])
    return folder / path


def _folder(environ: Mapping[str, str], variable: str, below_home: str) -> Path | None:
    named = Path(environ.get(variable, ""))
    # The specification: a relative path in these variables is to be ignored.
    if named.is_absolute():
        return named
    home = environ.get("HOME")
    return Path(home, below_home) if home else None

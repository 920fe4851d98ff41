"""Which configuration files there are."""

import os
from collections.abc import Mapping
from pathlib import Path

from mailer.config.folders import user_file
from mailer.config.toml_file import TomlFile, read_toml
from mailer.vocabulary.errors import UsageError

_NAME = "mailer.toml"
_PROJECT = "pyproject.toml"
_PROJECT_ROOT = ("tool", "mailer")


def campaign_file(campaign: Path | None) -> TomlFile | None:
    """The campaign's file: the one named, or `mailer.toml` or `[tool.mailer]` of `pyproject.toml` in the folder named.

    Without a name the current folder is searched, and may have neither.

    Raises:
        UsageError: E108 when what was named is not there, E110 when it is not TOML.
    """
    if campaign is None:
        return _in_folder(Path())
    if not campaign.is_dir():
        return _file(campaign)
    found = _in_folder(campaign)
    if found is None:
        raise UsageError("E108", f"there is no {_NAME} in {campaign}", hint=f"mailer init {campaign}")
    return found


def user_settings(environ: Mapping[str, str]) -> TomlFile | None:
    """The user's own file: the one `MAILER_CONFIG` names, which must be there, or the usual one, which need not."""
    named = environ.get("MAILER_CONFIG")
    if named:
        return read_toml(Path(named))
    usual = user_file(environ)
    # Not Path.is_file: below a home folder that is closed to us (ProtectHome) it raises instead of saying no.
    return read_toml(usual) if usual and os.path.isfile(usual) else None


def _in_folder(folder: Path) -> TomlFile | None:
    if (folder / _NAME).exists():
        return read_toml(folder / _NAME)
    project = folder / _PROJECT
    return read_toml(project, root=_PROJECT_ROOT) if project.is_file() else None


def _file(path: Path) -> TomlFile:
    found = read_toml(path, root=_PROJECT_ROOT if path.name == _PROJECT else ())
    if found is None:
        raise UsageError("E108", f"{path} has no table [tool.mailer]", hint="name the campaign's TOML file")
    return found

"""A layer: the settings that come from one place, before they are merged."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mailer.config.keys import DEFAULTS, KEYS, flag_of, unknown_key, unknown_section
from mailer.config.toml_file import TomlFile
from mailer.vocabulary.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Values by full key (`smtp.url`), as they were written, and by the same key the name of their origin.

    Relative paths among them are relative to `folder`. `explicit` is true for flags and the environment.
    """

    values: Mapping[str, object] = field(repr=False)
    origins: Mapping[str, str]
    folder: Path
    explicit: bool
    file: TomlFile | None = None

    @property
    def sections(self) -> dict[str, dict[str, object]]:
        """The values as tables."""
        tables: dict[str, dict[str, object]] = {}
        for key, value in self.values.items():
            section, _, name = key.partition(".")
            tables.setdefault(section, {})[name] = value
        return tables

    def place_of(self, key: str) -> str:
        """Where a person changes it: file and line, or the variable or flag."""
        return self.file.place_of(key) if self.file else self.origins[key]


def flag_layer(flags: Mapping[str, object], folder: Path) -> Layer:
    """Flags by full key; None means that a flag was not given. Raises E101 for a key that does not exist."""
    values = {key: value for key, value in flags.items() if value is not None}
    for key in values:
        if key not in KEYS:
            raise unknown_key(key, f"flag {flag_of(key)}")
    origins = {key: f"flag {flag_of(key)}" for key in values}
    return Layer(values=values, origins=origins, folder=folder, explicit=True)


def file_layer(file: TomlFile) -> Layer:
    """The settings of a file. Raises E101, with the line, for a section or a key that does not exist."""
    values: dict[str, object] = {}
    for section, table in file.tables.items():
        if section not in DEFAULTS:
            raise unknown_section(section, file.place_of(section))
        if not isinstance(table, dict):
            raise UsageError("E101", f"{section} is not a table", where=file.place_of(section), hint=f"[{section}]")
        for name, value in table.items():
            key = f"{section}.{name}"
            if key not in KEYS:
                raise unknown_key(key, file.place_of(key))
            values[key] = value
    origins = dict.fromkeys(values, str(file.path))
    return Layer(values=values, origins=origins, folder=file.path.parent.absolute(), explicit=False, file=file)

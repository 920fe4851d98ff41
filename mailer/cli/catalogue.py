"""The catalogue of every error and warning: what it means, why it happens, how to mend it, what is safe."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files

from mailer.vocabulary.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One code. A code has one meaning, whatever the words of the message are."""

    code: str
    title: str
    means: str
    causes: tuple[str, ...]
    fix: tuple[str, ...]
    safe: str


def catalogue() -> Mapping[str, Entry]:
    """Every entry by its code, errors before warnings."""
    text = files("mailer.cli").joinpath("catalogue.toml").read_text(encoding="utf-8")
    return {
        code: Entry(
            code=code,
            title=told["title"],
            means=told["means"],
            causes=tuple(told["causes"]),
            fix=tuple(told["fix"]),
            safe=told["safe"],
        )
        for code, told in tomllib.loads(text).items()
    }


def entry_of(code: str) -> Entry:
    """The entry of a code, in any case (`e401`, `401`). Raises `UsageError` E101 with the nearest one there is."""
    known = catalogue()
    wanted = code.strip().upper()
    for candidate in (wanted, f"E{wanted}", f"W{wanted}"):
        if candidate in known:
            return known[candidate]
    nearest = get_close_matches(wanted, known, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]}?   mailer explain   lists all" if nearest else "mailer explain   lists all"
    raise UsageError("E101", f"there is no error or warning {code!r}", hint=hint)

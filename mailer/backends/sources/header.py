"""The header of a list: its names trimmed, the ones that are needed among them, none of them twice."""

from collections.abc import Iterable, Sequence

from mailer.policy.columns import find_email_column
from mailer.vocabulary.errors import SourceError


def trimmed(names: Iterable[str]) -> tuple[str, ...]:
    """The names that have spaces around them: a warning is due."""
    return tuple(name for name in names if name != name.strip())


def missing(header: Iterable[str], needed: Iterable[str]) -> list[str]:
    """Those of `needed` that are not in the header, in any of the ways they may be written."""
    names = [name.strip() for name in header]
    return [name for name in needed if find_email_column(names, name) is None]


def no_column(name: str, header: Sequence[str], needed: Iterable[str], where: str) -> SourceError:
    """The error for a header that lacks the first of `needed` that is missing: E203."""
    return SourceError(
        "E203",
        f"{name} has no column {missing(header, needed)[0]!r}",
        where=where,
        why=f"columns: {', '.join(column.strip() for column in header[:50])}",
        hint='name the one with the addresses: email_column = "…"',
    )


def refuse_duplicates(names: Iterable[str], name: str, where: str) -> None:
    """Raise `SourceError` E209 where two columns have one name."""
    seen: set[str] = set()
    for column in names:
        if column in seen:
            raise SourceError(
                "E209",
                f"{name} has two columns {column!r}",
                where=where,
                why="Nobody knows which of them a template means.",
                hint="rename or remove one of them",
            )
        if column:
            seen.add(column)

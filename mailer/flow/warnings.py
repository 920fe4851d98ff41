"""Warnings about rows that were left out: counted, with row numbers, one for each kind."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mailer.flow.counts import Counts
from mailer.flow.problems import Examples, shorten
from mailer.policy.addressing import AddressError, parse_address
from mailer.vocabulary.errors import SourceError
from mailer.vocabulary.recipient import LeftOut

if TYPE_CHECKING:
    from mailer.flow.preparation import Prepared

SHOWN = 5


def warnings_of(prepared: "Prepared", counts: Counts, examples: Examples) -> Iterator[SourceError]:
    """What is to be said of some rows; nothing when all is well.

    E211 for invalid rows, W210 for duplicates, W211 for addresses that differ in case alone, W203 for column names with
    spaces around them, W302 for what was not escaped, W303 for messages without a text part.
    """
    source = prepared.source.name
    if prepared.source.trimmed:
        names = ", ".join(map(repr, prepared.source.trimmed))
        yield SourceError("W203", f"{source}: spaces around {names} were left out")
    if examples.invalid:
        first, *others = (_told(row) for row in examples.invalid[:SHOWN])
        such = "It is" if counts.invalid == 1 else f"{counts.invalid} such rows are"
        yield SourceError(
            "E211",
            first,
            why="\n".join([*others, f"{such} left out as invalid."]),
            hint=f"mailer check --fix-list bad.{'jsonl' if prepared.source.columns is None else 'csv'}",
        )
    if examples.duplicate:
        shown = "\n".join(f"row {row.row}  {shorten(row.email)}" for row in examples.duplicate[:SHOWN])
        addresses = examples.repeated
        occur = "1 address occurs" if addresses == 1 else f"{addresses} addresses occur"
        yield SourceError(
            "W210",
            f"{occur} more than once ({addresses + counts.duplicate} rows) – the first is kept",
            where=shown,
            hint="--duplicates=keep to send every row",
        )
    if examples.kept:
        yield SourceError(
            "W210",
            f"{_rows(examples.kept_count)} an address that came before – every row is sent",
            where=_places(examples.kept),
            hint="--duplicates=first to send only the first of them",
        )
    if examples.twins:
        yield SourceError(
            "W211",
            f"{_rows(examples.twin_count)} an address that differs from another in case alone – both are kept",
            where=_places(examples.twins),
            why="Before the @ the case may matter (RFC 5321 section 2.4), and nearly never does.",
            hint="leave one of them out, if it is the same person",
        )
    for column, count in examples.unescaped.most_common(1):
        yield SourceError(
            "W302",
            f"{source}: {column} has < or & and went into an HTML part as it is ({count} messages)",
            why="A single-file template is not escaped by itself.",
            hint=f"{{{{ {column} | e }}}}",
        )
    if prepared.composer.lacks_text:
        yield SourceError(
            "W303",
            "the messages have no text part",
            why="Some people read text only, and filters look for it.",
            hint="add body.txt.j2, or pip install '.[text]' (it makes one); in a single file use text/markdown",
        )


def _told(row: LeftOut) -> str:
    """Why a row is left out; where its address is sound, something else in it is not."""
    if not row.email:
        return f"row {row.row}: {row.reason}"
    try:
        address = parse_address(row.email)
    except AddressError:
        return f'row {row.row}: "{row.email[:80]}" is not an e-mail address: {row.reason}'
    return f"row {row.row} ({shorten(address.addr_spec)}): {row.reason}"


def _rows(count: int) -> str:
    return "1 row has" if count == 1 else f"{count} rows have"


def _places(rows: list[tuple[int, str]]) -> str:
    return "\n".join(f"row {row}  {shorten(email)}" for row, email in rows[:SHOWN])

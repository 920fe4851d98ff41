"""`mailer suppress`: the do-not-send list, one for all campaigns."""

import csv
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailer.backends.redis.suppression import list_lost
from mailer.backends.sources.addresses import Line, read_addresses
from mailer.cli.complaints import told_in_full, warn
from mailer.cli.opening import open_queue, read_setting
from mailer.policy.addressing import AddressError, parse_address
from mailer.policy.spreadsheet_cells import shield
from mailer.reports.csv_export import harmless
from mailer.reports.figures import moment
from mailer.reports.files import whole
from mailer.reports.screen import plain
from mailer.vocabulary.errors import SourceError
from mailer.vocabulary.reply import sanitise

if TYPE_CHECKING:
    from mailer.backends.redis.suppression import Suppression
    from mailer.cli.invocation import Invocation

SOME_INVALID = 3
BY_HAND = "added by the operator"
SHOWN = 20
"""Invalid lines that are told one by one; `--json` has all of them."""


async def add(invocation: "Invocation", addresses: Sequence[str], reason: str | None) -> int:
    """Put addresses on the list."""
    return await _put(invocation, [Line(number, text) for number, text in enumerate(addresses, 1)], reason, "address")


async def import_file(invocation: "Invocation", name: str, reason: str | None) -> int:
    """Put a file of addresses on the list: all that are valid, the others are reported with their line.

    A list that was lost is whole again with it, unless not a single line of it is an address.
    """
    return await _put(invocation, read_addresses(name, Path()), reason, f"{name} line", is_whole=True)


async def _put(
    invocation: "Invocation", lines: Iterable[Line], reason: str | None, place: str, *, is_whole: bool = False
) -> int:
    entries, invalid = [], []
    given = sanitise(reason or "") or None
    for line in lines:
        try:
            entries.append((parse_address(line.text).key, given or sanitise(line.reason or "") or BY_HAND))
        except AddressError as error:
            invalid.append((line, str(error)))
    async with open_queue(read_setting(invocation)) as ledgers:
        added = await ledgers.suppression.add_all(entries, is_whole=is_whole and not (invalid and not entries))
        if await ledgers.suppression.is_lost():
            warn(list_lost(ledgers.keys.suppressed), invocation)
    return _tell(invocation, invalid, place, done="added", count=added, unchanged=len(entries) - added)


async def remove(invocation: "Invocation", addresses: Sequence[str]) -> int:
    """Take addresses off the list."""
    removed = unchanged = 0
    invalid = []
    async with open_queue(read_setting(invocation)) as ledgers:
        for number, text in enumerate(addresses, 1):
            try:
                was_there = await ledgers.suppression.remove(parse_address(text).key)
            except AddressError as error:
                invalid.append((Line(number, text), str(error)))
                continue
            removed += was_there
            unchanged += not was_there
    return _tell(invocation, invalid, "address", done="removed", count=removed, unchanged=unchanged)


def _tell(
    invocation: "Invocation",
    invalid: "list[tuple[Line, str]]",
    place: str,
    *,
    done: str,
    count: int,
    unchanged: int,
) -> int:
    if invocation.as_json:
        found = [{"line": line.number, "text": line.text, "reason": why} for line, why in invalid]
        invocation.document(**{done: count, "unchanged": unchanged, "invalid": found})
    else:
        already = "were there already" if done == "added" else "were not on the list"
        invocation.data(f"{count} {done}" + (f", {unchanged} {already}" if unchanged else ""))
        for line, why in invalid[:SHOWN]:
            shown = plain(line.text[:100]).plain
            error = SourceError("E211", f'{place} {line.number}: "{shown}" is not an e-mail address: {why}')
            print(told_in_full(error, kind="error", color=invocation.color_live), file=sys.stderr)
        if len(invalid) > SHOWN:
            invocation.say(f"  {len(invalid) - SHOWN} others are not valid either")
    return SOME_INVALID if invalid else 0


async def show(invocation: "Invocation") -> int:
    """Everybody on the list, one a line."""
    async with open_queue(read_setting(invocation)) as ledgers:
        entries = await ledgers.suppression.entries()
    if invocation.as_json:
        invocation.document(suppressed=[_document(key, note) for key, note in entries])
        return 0
    for key, note in entries:
        invocation.data(
            "  ".join(plain(part).plain for part in (key, note.reason, _since(note), note.campaign) if part)
        )
    invocation.say(f"{len(entries)} on the do-not-send list")
    return 0


async def export(invocation: "Invocation", output: Path | None) -> int:
    """The list as CSV, safe for spreadsheets and readable by `import`; with --json as a document."""
    if invocation.as_json and output is None:
        return await show(invocation)
    async with open_queue(read_setting(invocation)) as ledgers:
        entries = await ledgers.suppression.entries()
    with ExitStack() as stack:
        stream = stack.enter_context(whole(output)) if output is not None else sys.stdout
        write = csv.writer(stream).writerow
        write(("email", "reason", "since", "campaign"))
        for key, note in entries:
            write((shield(key), harmless(note.reason), _since(note), note.campaign))
    if output is not None and invocation.as_json:
        invocation.document(written=str(output), suppressed=len(entries))
    elif output is not None:
        invocation.say(f"written: {output}")
    return 0


async def why(invocation: "Invocation", address: str) -> int:
    """Whether an address is on the list, however it is spelt."""
    try:
        key = parse_address(address).key
    except AddressError as error:
        raise SourceError("E211", f'"{plain(address).plain}" is not an e-mail address: {error}') from error
    async with open_queue(read_setting(invocation)) as ledgers:
        note = await ledgers.suppression.why(key)
    if invocation.as_json:
        told = _document(key, note) if note is not None else {"email": key}
        invocation.document(is_suppressed=note is not None, **told)
    elif note is None:
        invocation.data(f"{key} is not on the do-not-send list")
    else:
        by = f" by {note.campaign}" if note.campaign else ""
        invocation.data(f"{key} is on the do-not-send list since {_since(note)}{by}: {plain(note.reason).plain}")
    return 0


def _document(key: str, note: "Suppression") -> dict[str, Any]:
    return {"email": key, "reason": note.reason, "since": _since(note), "campaign": note.campaign}


def _since(note: "Suppression") -> str:
    return moment(datetime.fromtimestamp(note.since_ms / 1000, UTC))

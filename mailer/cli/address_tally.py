"""A tally of addresses that can be sent to and may not be meant: those of a role, and those with mixed scripts."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from mailer.flow.problems import shorten
from mailer.policy.addressing import is_role, mixes_scripts, parse_address
from mailer.vocabulary.errors import SourceError

SHOWN = 5
"""Rows of each kind that are kept, to be shown."""


@dataclass(slots=True)
class AddressTally:
    """Counts, in bounded memory. Each row is told once, with its first recipient."""

    roles: int = 0
    mixed: int = 0
    _roles: list[str] = field(default_factory=list)
    _mixed: list[str] = field(default_factory=list)

    def add(self, row: int, addr_spec: str) -> None:
        """Count the address of one row."""
        address = parse_address(addr_spec)
        if is_role(address):
            self.roles += 1
            _keep(self._roles, row, shorten(address.addr_spec))
        if mixes_scripts(address):
            self.mixed += 1
            # Here the domain is what has to be looked at.
            _keep(self._mixed, row, f"…@{address.shown.rpartition('@')[2]}")

    def warnings(self, source: str) -> Iterator[SourceError]:
        """W212 for addresses of roles, W213 for domains with mixed scripts; nothing when there are none."""
        if self.roles:
            yield SourceError(
                "W212",
                f"{source}: {_rows(self.roles)} the address of a role, not of a person",
                where="\n".join(self._roles),
                why="Several people read such a mailbox or nobody does, and a newsletter there is often called spam.",
                hint="leave out who has not asked for this mail",
            )
        if self.mixed:
            yield SourceError(
                "W213",
                f"{source}: {_rows(self.mixed)} a domain that mixes Latin letters with others that look like them",
                where="\n".join(self._mixed),
                why="It is another domain than it seems to be, often that of somebody who imitates it.",
                hint="type the domain anew, or leave the row out",
            )


def _keep(shown: list[str], row: int, address: str) -> None:
    if len(shown) < SHOWN:
        shown.append(f"row {row}  {address}")


def _rows(count: int) -> str:
    return "1 row has" if count == 1 else f"{count:,} rows have".replace(",", " ")

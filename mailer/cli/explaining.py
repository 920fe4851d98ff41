"""`mailer explain`: an entry of the catalogue, or the list."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from mailer.cli.catalogue import Entry, catalogue, entry_of

if TYPE_CHECKING:
    from mailer.cli.invocation import Invocation

_KINDS = {
    "E1": "usage and configuration",
    "E2": "recipients",
    "E3": "templates",
    "E4": "the mail server",
    "E5": "queue and workers",
    "W": "warnings",
}


def explain(invocation: "Invocation", code: str | None) -> int:
    """Tell what a code means; without one, every code with its title."""
    if code is not None:
        entry = entry_of(code)
        if invocation.as_json:
            invocation.document(**asdict(entry))
        else:
            invocation.data(_told(entry))
        return 0
    entries = catalogue().values()
    if invocation.as_json:
        invocation.document(codes=[{"code": entry.code, "title": entry.title} for entry in entries])
        return 0
    for beginning, kind in _KINDS.items():
        lines = [f"  {entry.code}  {entry.title}" for entry in entries if entry.code.startswith(beginning)]
        invocation.data("\n".join([kind, *lines]))
    return 0


def _told(entry: Entry) -> str:
    return "\n".join(
        [
            f"{entry.code}: {entry.title}",
            f"  {entry.means}",
            "usual causes",
            *(f"  - {cause}" for cause in entry.causes),
            "how to mend it",
            *(f"  - {fix}" for fix in entry.fix),
            "what is safe",
            f"  {entry.safe}",
        ]
    )

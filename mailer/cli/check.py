"""`mailer check`: every row rendered, checked and linted; nothing is sent, and no server is needed."""

import shlex
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mailer.cli.address_tally import AddressTally
from mailer.cli.complaints import told_in_full
from mailer.cli.fix_list import SUFFIXES, FixList, fix_list, form_of
from mailer.cli.preparing import prepare_campaign, read_campaign
from mailer.cli.waiting import progress
from mailer.flow.preflight import Checked, preflight
from mailer.flow.warnings import warnings_of
from mailer.policy.lint import Linter
from mailer.policy.lint_tally import LintTally
from mailer.reports.files import whole
from mailer.vocabulary.errors import CHECK_FAILED, MailerError

if TYPE_CHECKING:
    from mailer.cli.invocation import Invocation
    from mailer.cli.send_flags import SendFlags
    from mailer.cli.waiting import Progress
    from mailer.flow.preparation import Prepared
    from mailer.interfaces.source import Row
    from mailer.vocabulary.chunk import Draft

SHOWN_EVERY = 100
"""Rows between two looks of the progress bar."""


def check_campaign(invocation: "Invocation", campaign: Path | None, flags: "SendFlags", *, to_mend: Path | None) -> int:
    """Check everything, say all that is wrong, and write the rows to mend. Exit 3 where a row cannot be sent.

    Raises `MailerError` E1xx to E3xx where it is not single rows that are wrong.
    """
    setting = read_campaign(invocation, campaign, flags)
    prepared = prepare_campaign(setting, flags)
    with whole(to_mend) if to_mend is not None else nullcontext() as stream:
        mending = fix_list(stream, prepared.source.columns) if stream is not None else None
        with progress(invocation, f"{prepared.proposal.name} (checking)") as bar:
            look = _Look(bar, mending)
            checked = preflight(
                prepared,
                chunk_size=setting.configuration.queue.chunk_size,
                on_bad=look.at_bad,
                on_draft=look.at_draft,
            )
    found = _Found(prepared, checked, look)
    if invocation.as_json:
        invocation.document(**found.to_dict(), fix_list=str(to_mend) if to_mend is not None else None)
    else:
        _tell(invocation, found, to_mend)
    return CHECK_FAILED if found.bad else 0


@dataclass(slots=True)
class _Look:
    """What is done with each row while it is at hand."""

    bar: "Progress"
    to_mend: FixList | None
    bad: int = 0
    tally: LintTally = field(default_factory=LintTally)
    addresses: AddressTally = field(default_factory=AddressTally)
    _linter: Linter = field(default_factory=Linter)
    _row: int = 0

    def at_bad(self, row: "Row", reason: str) -> None:
        """A row that is left out, or cannot be built."""
        self.bad += 1
        if self.to_mend is not None:
            self.to_mend.add(row, reason)

    def at_draft(self, draft: "Draft") -> None:
        """A message; its copies for Cc and Bcc come right behind it."""
        if draft.row != self._row:
            self._row = draft.row
            self.tally.add(draft.row, self._linter.lint(draft.content))
            self.addresses.add(draft.row, draft.email)
        if draft.row % SHOWN_EVERY == 0:
            self.bar.show(draft.row, 0, "rows")


class _Found:
    """All that a check has found."""

    def __init__(self, prepared: "Prepared", checked: Checked, look: _Look) -> None:
        self.checked = checked
        self.bad = look.bad - checked.counts.duplicate
        """Rows that cannot be sent: invalid, or not to be built. Duplicates are no mistake."""
        problems = checked.problems.error().problems if checked.problems.rows else ()
        told = list(warnings_of(prepared, checked.counts, checked.examples))
        told += look.addresses.warnings(checked.source)
        self.errors: list[MailerError] = [*problems, *(one for one in told if one.code.startswith("E"))]
        self.warnings: list[MailerError] = [one for one in told if one.code.startswith("W")]
        self.lint = look.tally.entries()
        self.to_mend = look.to_mend
        self.form = form_of(prepared.source.columns)
        """Of a fix list."""

    def to_dict(self) -> dict[str, object]:
        """The JSON document, but for the file."""
        counts, unbuildable = self.checked.counts, self.checked.problems.rows
        return {
            "ok": not self.bad,
            "rows": counts.rows,
            "buildable": counts.new,
            "unbuildable": unbuildable,
            "invalid": self.bad - unbuildable,
            "duplicate": counts.duplicate,
            "problems": [error.to_dict() for error in self.errors],
            "warnings": [warning.to_dict() for warning in self.warnings],
            "lint": [entry.to_dict() for entry in self.lint],
        }


def _tell(invocation: "Invocation", found: _Found, to_mend: Path | None) -> None:
    counts = found.checked.counts
    copies = f" ({_count(counts.rows, 'recipient')})" if counts.rows != counts.read else ""
    problems = _count(found.bad, "problem") if found.bad else "no problems"
    invocation.data(f"{_count(counts.read, 'row')}{copies}, {problems}")
    for error in found.errors:
        _tell_one(invocation, error, "error")
    for warning in (*found.warnings, *(entry.warning() for entry in found.lint)):
        _tell_one(invocation, warning, "warning")
    if to_mend is not None and found.to_mend is not None:
        _tell_of_list(invocation, to_mend, found.to_mend)
    elif found.bad:
        invocation.say(f"mailer check --fix-list bad.{found.form}   writes these rows into a file, to be mended")
    invocation.say("Nothing was sent.")


def _tell_of_list(invocation: "Invocation", path: Path, written: FixList) -> None:
    invocation.say(f"{path} has the rows that are left out, with the reasons.")
    if written.has_formulas:
        invocation.say("Mend it in a text editor: a spreadsheet would take some of its cells for formulas.")
    if path.suffix.lower() not in SUFFIXES[written.form]:
        invocation.say(
            f"mailer check --recipients {shlex.quote(str(path))} --recipients-format {written.form}   reads it"
        )


def _tell_one(invocation: "Invocation", told: MailerError, kind: Literal["error", "warning"]) -> None:
    invocation.data(f"{told_in_full(told, kind=kind, color=invocation.color)}\n  more: mailer explain {told.code}")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}".replace(",", " ")

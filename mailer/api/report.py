"""The delivery report as a program reads it."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mailer.reports.files import save, saving
from mailer.reports.terminal import report_text
from mailer.vocabulary.campaign import CampaignState
from mailer.vocabulary.errors import NotSentError, UsageError
from mailer.vocabulary.recipient import FINAL_STATES, OPEN_STATES, State

if TYPE_CHECKING:
    from mailer.vocabulary.report import CampaignHead, DomainCount, ReasonCount, RecipientRecord
    from mailer.vocabulary.report import Report as Figures
    from mailer.vocabulary.totals import Totals

FORMATS = ("html", "csv", "json")

States = State | str | Iterable[State | str] | None


class Summary:
    """What a report says without reading recipients again: one snapshot, taken at `as_of`."""

    def __init__(self, figures: "Figures", next_try: datetime | None) -> None:
        self.figures = figures
        """The whole document."""
        self.next_try = next_try
        """When the first deferred recipient is tried again (UTC), if any is."""

    @property
    def as_of(self) -> datetime:
        """When it was taken (UTC)."""
        return self.figures.as_of

    @property
    def campaign(self) -> "CampaignHead":
        """What was sent, from whom, over which relay, when and how fast."""
        return self.figures.campaign

    @property
    def totals(self) -> "Totals":
        """Counts of rows and of recipients by state; both identities hold."""
        return self.figures.totals

    @property
    def reasons(self) -> "tuple[ReasonCount, ...]":
        """Why recipients were not sent, the most frequent first."""
        return self.figures.reasons

    @property
    def domains(self) -> "tuple[DomainCount, ...]":
        """How each recipient domain fared, the largest first."""
        return self.figures.domains

    @property
    def refused(self) -> Mapping[str, tuple[int, str]]:
        """smtplib's refused dict: address to (code, server's words), for state `refused` only."""
        return self.figures.refused

    def __str__(self) -> str:
        return report_text(self.figures, next_try=self.next_try)

    def raise_for_status(self) -> None:
        """Raise `NotSentError` E212 unless the campaign is finished and nobody is refused, failed or in doubt."""
        totals, campaign = self.totals, self.campaign
        if campaign.state is not CampaignState.FINISHED:
            raise NotSentError(
                "E212",
                f"{campaign.id} is {campaign.state.value}: {totals.open} of {totals.accepted} recipients are undecided",
                why=campaign.paused_reason,
                hint=f"mailer status {campaign.id}",
                retryable=True,
            )
        if lost := totals.refused + totals.failed + totals.in_doubt + totals.cancelled:
            parts = {"refused": totals.refused, "failed": totals.failed, "in doubt": totals.in_doubt}
            told = ", ".join(f"{count} {name}" for name, count in parts.items() if count)
            raise NotSentError(
                "E212",
                f"{lost} of {totals.accepted} recipients of {campaign.id} did not get it: {told or 'cancelled'}",
                hint=f"mailer report {campaign.id} --refused",
            )


class Report(Summary):
    """A report for plain programs. Recipients are read from the ledger when they are asked for, never kept."""

    def __init__(
        self, figures: "Figures", next_try: datetime | None, read: "Callable[[], Iterator[RecipientRecord]]"
    ) -> None:
        super().__init__(figures, next_try)
        self._read = read

    def recipients(self, state: States = None) -> "Iterator[RecipientRecord]":
        """Every recipient, ordered by row, or those in one state or several."""
        wanted = _wanted(state)
        return (record for record in self._read() if record.state in wanted)

    def save(self, folder: str | Path, formats: Iterable[str] = FORMATS) -> tuple[Path, ...]:
        """Write `report.html`, `.csv`, `.json`, `.jsonl` into a folder, each whole or not at all; return the paths."""
        return save(self.figures, self._read(), folder, formats, next_try=self.next_try)


class AsyncReport(Summary):
    """The same for asynchronous programs, while their mailer is open."""

    def __init__(
        self, figures: "Figures", next_try: datetime | None, read: "Callable[[], AsyncIterator[RecipientRecord]]"
    ) -> None:
        super().__init__(figures, next_try)
        self._read = read

    async def recipients(self, state: States = None) -> "AsyncIterator[RecipientRecord]":
        """Every recipient, ordered by row, or those in one state or several."""
        wanted = _wanted(state)
        async for record in self._read():
            if record.state in wanted:
                yield record

    async def save(self, folder: str | Path, formats: Iterable[str] = FORMATS) -> tuple[Path, ...]:
        """Write `report.html`, `.csv`, `.json`, `.jsonl` into a folder, each whole or not at all; return the paths."""
        with saving(self.figures, folder, formats, next_try=self.next_try) as (paths, add):
            async for record in self._read():
                add(record)
        return paths


def _wanted(state: States) -> frozenset[State]:
    if state is None:
        return frozenset((*OPEN_STATES, *FINAL_STATES))
    names = [state] if isinstance(state, str) else list(state)
    try:
        return frozenset(State(name) for name in names)
    except ValueError as error:
        known = ", ".join(each.value for each in (*OPEN_STATES, *FINAL_STATES))
        raise UsageError("E101", f"{error}", hint=f"the states are {known}") from None

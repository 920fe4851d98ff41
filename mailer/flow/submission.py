"""Submission: a prepared campaign goes into the ledger in chunks, once, and runs when its source has been read."""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from mailer.flow.intake import Addressed, Intake, addresses_of
from mailer.flow.problems import Examples, Problems
from mailer.vocabulary.campaign import Campaign, CampaignState, CampaignStatus
from mailer.vocabulary.errors import MailerError, SourceError
from mailer.vocabulary.recipient import LeftOut, LeftOutAs

if TYPE_CHECKING:
    from mailer.flow.preparation import Prepared
    from mailer.interfaces.ledger import IntakeLedger
    from mailer.interfaces.source import Row
    from mailer.vocabulary.chunk import Draft
    from mailer.vocabulary.settings import QueueSettings

LOW_WATER_POLL_S = 0.2


@dataclass(slots=True)
class Counts:
    """What one pass over the source has counted so far."""

    rows: int = 0
    invalid: int = 0
    duplicate: int = 0
    new: int = 0
    already: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What a submission came to. `counts` are those of this run; the status has the campaign's."""

    status: CampaignStatus
    counts: Counts
    examples: Examples


Progress = Callable[[Counts], None]


@dataclass(slots=True)
class Submission:
    """One run of a producer. `skip_bad` books rows that cannot be built as failed instead of refusing all."""

    ledger: "IntakeLedger"
    prepared: "Prepared"
    queue: "QueueSettings"
    skip_bad: bool = False
    progress: Progress = lambda counts: None
    confirm: Callable[[Counts], bool] | None = None
    _counts: Counts = field(default_factory=Counts)
    _examples: Examples = field(default_factory=Examples)

    async def run(self) -> Submitted | None:
        """Accept the campaign, or find it accepted. None when `confirm` said no: nothing of it is left.

        Raises:
            UsageError: E205, the key belongs to other content.
            BadRowsError: rows cannot be built; nothing was accepted.
            SourceError: E207 no recipients, E204 damage, E208 too large to be read only once.
        """
        campaign = await self.ledger.open(self.prepared.proposal)
        status = await self.ledger.status(campaign.id)
        if status.source_complete:
            self._counts.already = status.totals.accepted
            return Submitted(status=status, counts=self._counts, examples=self._examples)
        run = secrets.token_hex(4)
        try:
            stopped_at = await self._draft(campaign, run)
        except MailerError:
            # What is wrong with the content. Whoever is killed, or loses the ledger, goes on with this draft later.
            if status.state is CampaignState.DRAFT:
                await self.ledger.drop(campaign)
            raise
        if status.state is CampaignState.DRAFT and self.confirm is not None and not self.confirm(self._counts):
            await self.ledger.drop(campaign)
            return None
        await self.ledger.seal(
            campaign,
            run,
            invalid=self._counts.invalid,
            duplicate=self._counts.duplicate,
            complete=stopped_at is None,
        )
        if stopped_at is not None:
            await self._rest(campaign, stopped_at)
        await self.ledger.complete(campaign, run, invalid=self._counts.invalid, duplicate=self._counts.duplicate)
        status = await self.ledger.status(campaign.id)
        return Submitted(status=status, counts=self._counts, examples=self._examples)

    async def _draft(self, campaign: Campaign, run: str) -> int | None:
        """Read the source to the end and store it; beyond the high-water mark only check it.

        Returns the number of the first row that is checked but not stored, or None when all are stored.
        """
        intake = self._intake(campaign)
        problems = Problems(self.prepared.source.name)
        counts = self._counts
        stopped_at: int | None = None
        for rows in self._batches(self.prepared.source.rows()):
            left_out, addressed = sort_out(intake.address(row) for row in rows)
            built = intake.build(addressed, await self.ledger.suppressed(addresses_of(addressed)))
            left_out += built.left_out
            for problem in built.problems:
                problems.add(problem)
            if stopped_at is None and not (problems.rows and not self.skip_bad):
                stored = await self._store(campaign, built.drafts)
                if stored and await self._is_full(campaign):
                    stopped_at = rows[-1].number + 1
            counts.rows += len(rows)
            for row in left_out:
                self._examples.add(row)
                counts.invalid += row.kind is LeftOutAs.INVALID
                counts.duplicate += row.kind is LeftOutAs.DUPLICATE
            await self.ledger.leave_out(campaign, run, sorted(left_out, key=lambda row: row.row))
            self.progress(counts)
        if problems.rows and not self.skip_bad:
            raise problems.error()
        if counts.rows == 0:
            raise SourceError(
                "E207",
                f"{self.prepared.source.name} has no recipients",
                hint="a header line and one line for each recipient",
                safe="Nothing was accepted and nothing was sent.",
            )
        return stopped_at

    async def _rest(self, campaign: Campaign, start: int) -> None:
        """The second pass over a source larger than the high-water mark, while workers drain."""
        intake = self._intake(campaign)
        for rows in self._batches(self.prepared.source.rows()):
            if rows[-1].number < start:
                # Stored in the first pass; the ledger's index tells their later duplicates from new ones.
                continue
            _, addressed = sort_out(intake.address(row) for row in rows)
            built = intake.build(addressed, await self.ledger.suppressed(addresses_of(addressed)))
            if await self.ledger.queued_bytes(campaign) > self.queue.high_water:
                await self._low_water(campaign)
            await self._store(campaign, built.drafts)
            self.progress(self._counts)

    async def _low_water(self, campaign: Campaign) -> None:
        # Workers elsewhere drain it; there is nothing in this process that could tell.
        while await self.ledger.queued_bytes(campaign) > self.queue.low_water:  # noqa: ASYNC110
            await asyncio.sleep(LOW_WATER_POLL_S)

    def _intake(self, campaign: Campaign) -> Intake:
        return Intake(self.prepared, campaign, date=datetime.now(UTC))

    def _batches(self, rows: "Iterator[Row]") -> "Iterator[list[Row]]":
        while batch := list(islice(rows, self.queue.chunk_size)):
            yield batch

    async def _is_full(self, campaign: Campaign) -> bool:
        if await self.ledger.queued_bytes(campaign) < self.queue.high_water:
            return False
        if not self.prepared.is_resumable:
            raise SourceError(
                "E208",
                f"{self.prepared.source.name} is larger than queue.high_water and can be read only once",
                why="A draft must be checked to its end before anything is sent.",
                hint="raise queue.high_water, or put the list into a file",
                safe="Nothing was accepted and nothing was sent.",
            )
        return True

    async def _store(self, campaign: Campaign, drafts: "list[Draft]") -> bool:
        """Store what is not there yet. True when anything was stored."""
        while drafts:
            present = await self.ledger.accept(campaign, drafts)
            if not present:
                self._counts.new += len(drafts)
                return True
            self._counts.already += len(present)
            drafts = [draft for draft in drafts if draft.email not in present]
        return False


def sort_out(rows: "Iterator[Addressed | LeftOut]") -> tuple[list[LeftOut], list[Addressed]]:
    """Rows left out, and rows with a usable address."""
    left_out: list[LeftOut] = []
    addressed: list[Addressed] = []
    for row in rows:
        if isinstance(row, LeftOut):
            left_out.append(row)
        else:
            addressed.append(row)
    return left_out, addressed

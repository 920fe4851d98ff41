"""Submission: a prepared campaign goes into the ledger in chunks, once, and runs when its source has been read."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mailer.flow.ahead import rendered_ahead
from mailer.flow.counts import Counts, Progress, Submitted
from mailer.flow.intake import Built, Intake, leave_out_members, withhold
from mailer.flow.passes import Passes, count_rows
from mailer.flow.problems import Examples, Problems
from mailer.flow.storing import Storing
from mailer.interfaces.ledger import CampaignGoneError
from mailer.interfaces.rendering import Occupation, PackingLedger
from mailer.policy.choosing import Ranges, chosen_rows, covers, union
from mailer.vocabulary.campaign import Campaign, CampaignState, CampaignStatus
from mailer.vocabulary.errors import MailerError, SourceError
from mailer.vocabulary.recipient import LeftOutAs
from mailer.vocabulary.send_options import SendOptions

if TYPE_CHECKING:
    from mailer.flow.preparation import Prepared
    from mailer.interfaces.ledger import IntakeLedger
    from mailer.interfaces.rendering import Renderers
    from mailer.interfaces.source import Row
    from mailer.vocabulary.settings import QueueSettings

ALONE_ROWS = 2_000
"""Rows that are rendered before other processes are worth their start, unless they were asked for."""
LATER_ROWS = 10_000_000
"""Numbers kept free for rows of the campaign's own list that were not asked for yet."""


class _MixedDraftError(Exception):
    """The draft holds rows that this run does not ask for: an earlier run, cut off, had asked for others."""


@dataclass(slots=True)
class Submission:
    """One run of a producer. `confirm` is asked before a draft is sealed, or before more is added."""

    ledger: "IntakeLedger"
    prepared: "Prepared"
    queue: "QueueSettings"
    options: SendOptions = field(default_factory=SendOptions)
    progress: Progress = lambda counts: None
    confirm: Callable[[Counts], bool] | None = None
    _counts: Counts = field(default_factory=Counts)
    _examples: Examples = field(default_factory=Examples)
    _passes: Passes = field(init=False)
    _storing: Storing = field(init=False)
    _renderers: "Renderers | None" = None

    def __post_init__(self) -> None:
        self._passes = Passes(self.prepared.source, self.queue.chunk_size)
        self._storing = Storing(self.ledger, self.queue)

    async def run(self) -> Submitted | None:
        """Accept the campaign, or find it accepted. None when `confirm` said no: nothing of it is left.

        Raises:
            UsageError: E205, the key belongs to other content.
            BadRowsError: rows cannot be built; nothing was accepted.
            SourceError: E207 no recipients, E204 damage, E208 too large to be read only once.
        """
        chosen = chosen_rows(self.options, lambda: count_rows(self.prepared.source))
        while True:
            self._counts, self._examples = Counts(), Examples()
            campaign = await self.ledger.open(self.prepared.proposal, append=self.options.append)
            try:
                return await self._run(campaign, chosen)
            except CampaignGoneError:
                # Another producer of it found something wrong and dropped the draft: what that is we find, too.
                if not self.prepared.is_resumable:
                    raise
            except _MixedDraftError:
                await self.ledger.drop(campaign)
            finally:
                self._end_renderers()

    async def _run(self, campaign: Campaign, chosen: Ranges | None) -> Submitted | None:
        status = await self.ledger.status(campaign.id)
        run = secrets.token_hex(4)
        added = self.prepared.proposal.fingerprint
        if campaign.fingerprint != added:
            if added in status.appended or await self._append(campaign, run, status, chosen):
                return await self._submitted(campaign)
            return None
        if status.state is CampaignState.DRAFT:
            accept = self._stream if self.options.stream else self._draft
            done = await accept(campaign, run, chosen)
        elif not covers(status.chosen, chosen):
            done = await self._more(campaign, run, _all_of(status, chosen))
        elif not status.source_complete:
            # An earlier run was cut off after it had checked all of it.
            done = await self._store_all(campaign, run, status.chosen)
        else:
            self._counts.already = status.totals.accepted
            done = True
        return await self._submitted(campaign) if done else None

    async def _submitted(self, campaign: Campaign) -> Submitted:
        status = await self.ledger.status(campaign.id)
        return Submitted(status=status, counts=self._counts, examples=self._examples)

    async def _draft(self, campaign: Campaign, run: str, chosen: Ranges | None) -> bool:
        """Read the source to the end and store it; beyond the high-water mark only check it; then seal."""
        try:
            stopped_at = await self._read(campaign, run, chosen)
            # Whoever accepts one message waits for every look at the ledger.
            if chosen is not None or self.confirm is not None:
                totals = (await self.ledger.status(campaign.id)).totals
                if chosen is not None and totals.accepted > self._counts.new + self._counts.already:
                    raise _MixedDraftError
                self._counts.to_send = totals.queued
        except MailerError as error:
            # What is wrong with the content. Whoever is killed, or loses the ledger, goes on with this draft later.
            if not isinstance(error, CampaignGoneError):
                await self.ledger.drop(campaign)
            raise
        if stopped_at is not None:
            counts = self._counts
            counts.to_send = counts.rows - counts.invalid - counts.duplicate
        if not self._confirmed():
            await self.ledger.drop(campaign)
            return False
        await self._seal(campaign, run, chosen, complete=stopped_at is None)
        if stopped_at is not None:
            await self._store_all(campaign, run, chosen, start=stopped_at, is_counted=True)
        return True

    async def _read(self, campaign: Campaign, run: str, chosen: Ranges | None) -> int | None:
        """The number of the first row that is checked but not stored, or None when all are stored."""
        intake = self._intake(campaign)
        problems = Problems(self.prepared.source.name)
        stopped_at: int | None = None
        async for rows in self._rendered(campaign, intake, self._passes.batches(chosen)):
            built = await self._built(intake, rows)
            for problem in built.problems:
                problems.add(problem)
            if stopped_at is None and not (problems.rows and not self._skips_bad):
                stored = await self._storing.store(campaign, built.drafts, self._counts)
                if stored and await self._storing.is_full(campaign):
                    if not self.prepared.is_resumable:
                        raise self._passes.too_large()
                    stopped_at = rows[-1].number + 1
            await self._left_out(campaign, run, built)
        self._check(problems)
        return stopped_at

    async def _stream(self, campaign: Campaign, run: str, chosen: Ranges | None) -> bool:
        """Let workers begin at once; only the end of the source can make it finished."""
        batches = self._passes.batches(chosen)
        first = next(batches, None)
        if first is None or not self._confirmed():
            await self.ledger.drop(campaign)
            if first is None:
                raise self._empty()
            return False
        await self._seal(campaign, run, chosen, complete=False)
        return await self._store_all(campaign, run, chosen, batches=_again(first, batches))

    async def _more(self, campaign: Campaign, run: str, chosen: Ranges | None) -> bool:
        """Add what had not been asked for before, after checking it."""
        if not await self._check_all(campaign, chosen):
            return False
        await self.ledger.reopen(campaign)
        return await self._store_all(campaign, run, chosen)

    async def _append(self, campaign: Campaign, run: str, status: CampaignStatus, chosen: Ranges | None) -> bool:
        """Add the recipients of another list, after checking it. Its rows are numbered on from those there are."""
        added = self.prepared.proposal.fingerprint
        if status.appending != added and not await self._check_all(campaign, chosen):
            return False
        # Where rows were left for later, they keep their numbers.
        after = status.totals.rows + (0 if status.chosen is None else LATER_ROWS)
        base = await self.ledger.reopen(campaign, appending=added, after=after)
        return await self._store_all(campaign, run, chosen, appended=added, after=base)

    async def _check_all(self, campaign: Campaign, chosen: Ranges | None) -> bool:
        """Build every row without storing it, and ask. Nothing else stands between it and the workers."""
        intake = self._intake(campaign)
        problems = Problems(self.prepared.source.name)
        counts = self._counts
        if not self.prepared.is_resumable:
            self._passes.keep()
        async for rows in self._rendered(campaign, intake, self._passes.batches(chosen)):
            built = await self._built(intake, rows)
            for problem in built.problems:
                problems.add(problem)
            there = await self.ledger.members(campaign.id, [draft.email for draft in built.drafts])
            known = sum(draft.email in there and not draft.by_row for draft in built.drafts)
            counts.already += known
            counts.new += len(built.drafts) - known
            self._count(built)
        self._check(problems)
        counts.to_send = counts.new
        return self._confirmed()

    async def _store_all(
        self,
        campaign: Campaign,
        run: str,
        chosen: Ranges | None,
        *,
        start: int = 0,
        appended: str | None = None,
        is_counted: bool = False,
        after: int = 0,
        batches: "Iterator[list[Row]] | None" = None,
    ) -> bool:
        """A pass that stores while workers drain, from row `start` or all; `is_counted` by an earlier pass."""
        if not is_counted:
            self._counts, self._examples = Counts(), Examples()
        intake = self._intake(campaign, after)
        # What was stored in the first pass is left out; the ledger's index tells their later duplicates from new ones.
        wanted = (rows for rows in batches or self._passes.batches(chosen) if rows[-1].number >= start)
        async for rows in self._rendered(campaign, intake, wanted):
            built = await self._built(intake, rows)
            await self._storing.room(campaign, lambda: self.progress(self._counts))
            await self._storing.store(campaign, built.drafts, self._counts)
            if not is_counted:
                await self._left_out(campaign, run, built)
            self.progress(self._counts)
        invalid, duplicate = self._counts.invalid, self._counts.duplicate
        await self.ledger.complete(
            campaign, run, invalid=invalid, duplicate=duplicate, chosen=chosen, appended=appended
        )
        return True

    async def _seal(self, campaign: Campaign, run: str, chosen: Ranges | None, *, complete: bool) -> None:
        await self.ledger.seal(
            campaign,
            run,
            invalid=self._counts.invalid,
            duplicate=self._counts.duplicate,
            complete=complete,
            chosen=chosen,
            at_ms=self.options.at_ms,
        )

    async def _rendered(
        self, campaign: Campaign, intake: Intake, batches: "Iterator[list[Row]]"
    ) -> "AsyncIterator[list[Row]]":
        """The batches; where several processes are to render, what they have made is with the intake already."""
        start = self.prepared.renderers
        read = 0
        if start is not None:
            for rows in batches:
                read += len(rows)
                yield rows
                if self.prepared.waits_for_renderers or read >= ALONE_ROWS:
                    break
            else:
                return
            self._renderers = await start(await self._occupation(campaign, intake))
        if self._renderers is not None:
            batches = rendered_ahead(batches, self._renderers, intake)
        for rows in batches:
            yield rows
        self._end_renderers()

    def _end_renderers(self) -> None:
        if self._renderers is not None:
            self._renderers.close()
            self._renderers = None

    async def _occupation(self, campaign: Campaign, intake: Intake) -> Occupation:
        reference = await self.ledger.reference(campaign) if isinstance(self.ledger, PackingLedger) else None
        return Occupation(campaign=campaign, date=intake.date, after=intake.after, reference=reference)

    async def _built(self, intake: Intake, rows: "list[Row]") -> Built:
        built = intake.build(rows)
        # Ctrl-C while rows were rendered is heard here: the ledger's client might swallow it (gh-86296).
        await asyncio.sleep(0)
        if self.options.exclude is not None:
            emails = [draft.email for draft in built.drafts]
            leave_out_members(built, await self.ledger.members(self.options.exclude, emails), self.options.exclude)
        built.drafts = withhold(built.drafts, await self.ledger.suppressed([draft.email for draft in built.drafts]))
        return built

    async def _left_out(self, campaign: Campaign, run: str, built: Built) -> None:
        self._count(built)
        await self.ledger.leave_out(campaign, run, sorted(built.left_out, key=lambda row: row.row))

    def _count(self, built: Built) -> None:
        counts = self._counts
        counts.rows += len(built.drafts) + len(built.left_out)
        for row in built.left_out:
            counts.invalid += row.kind is LeftOutAs.INVALID
            counts.duplicate += row.kind is LeftOutAs.DUPLICATE
        self._examples.add_all(built)
        self.progress(counts)

    def _check(self, problems: Problems) -> None:
        if problems.rows and not self._skips_bad:
            raise problems.error()
        counts = self._counts
        if counts.rows == 0:
            raise self._empty()
        if counts.rows == counts.invalid:
            # Accepted like this, the key would belong to a campaign of nobody.
            first = self._examples.invalid[0]
            raise SourceError(
                "E207",
                f"{self.prepared.source.name} has no usable recipients: all of its {counts.rows} rows are invalid",
                why=f"row {first.row}: {first.reason}",
                hint="mailer check   tells what is wrong with each",
                safe="Nothing was accepted and nothing was sent.",
            )

    def _empty(self) -> SourceError:
        nothing = "no such rows" if self.options.chooses else "no recipients"
        return SourceError(
            "E207",
            f"{self.prepared.source.name} has {nothing}",
            hint="a smaller --offset" if self.options.chooses else "a header line and one line for each recipient",
            safe="Nothing was accepted and nothing was sent.",
        )

    @property
    def _skips_bad(self) -> bool:
        return self.options.skip_bad or self.options.stream

    def _confirmed(self) -> bool:
        nothing_new = self._counts.to_send == 0 and self._counts.already > 0
        return self.confirm is None or nothing_new or self.confirm(self._counts)

    def _intake(self, campaign: Campaign, after: int = 0) -> Intake:
        return Intake(self.prepared, campaign, date=datetime.now(UTC), after=after)


def _all_of(status: CampaignStatus, chosen: Ranges | None) -> Ranges | None:
    """What was asked for before and what is asked for now."""
    return None if chosen is None or status.chosen is None else union(status.chosen, chosen)


def _again(first: "list[Row]", others: "Iterator[list[Row]]") -> "Iterator[list[Row]]":
    yield first
    yield from others

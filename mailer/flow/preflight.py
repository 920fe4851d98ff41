"""Preflight: every row rendered and checked as for sending, and nothing stored."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from mailer.flow.counts import Counts
from mailer.flow.intake import Intake
from mailer.flow.passes import Passes, count_rows
from mailer.flow.preparation import Prepared
from mailer.flow.problems import Examples, Problems
from mailer.interfaces.source import Row
from mailer.policy.choosing import chosen_rows
from mailer.vocabulary.chunk import Draft
from mailer.vocabulary.recipient import LeftOutAs
from mailer.vocabulary.send_options import SendOptions


@dataclass(frozen=True, slots=True)
class Checked:
    """What a preflight found: `counts.new` messages can be sent; `problems` has the rows that cannot be built."""

    source: str
    counts: Counts
    examples: Examples
    problems: Problems


def preflight(
    prepared: Prepared,
    *,
    chunk_size: int,
    options: SendOptions = SendOptions(),  # noqa: B008 (frozen)
    on_bad: Callable[[Row, str], None] = lambda row, reason: None,
    on_draft: Callable[[Draft], None] = lambda draft: None,
) -> Checked:
    """Read the source to the end, or the rows that the options choose. Raises `SourceError` for damage.

    `on_bad` is told each row that is invalid, a duplicate or cannot be built, and why; `on_draft` each message.
    """
    intake = Intake(prepared, prepared.proposal, date=datetime.now(UTC))
    checked = Checked(prepared.source.name, Counts(), Examples(), Problems(prepared.source.name))
    counts = checked.counts
    chosen = chosen_rows(options, lambda: count_rows(prepared.source))
    for batch in Passes(prepared.source, chunk_size).batches(chosen):
        built = intake.build(batch)
        numbered = {row.number: row for row in batch}
        for problem in built.problems:
            checked.problems.add(problem)
        unbuilt = {problem.row for problem in built.problems}
        for row in built.left_out:
            counts.invalid += row.kind is LeftOutAs.INVALID
            counts.duplicate += row.kind is LeftOutAs.DUPLICATE
        bad = [(numbered[problem.row], problem.error.message) for problem in built.problems]
        bad += [(numbered[row.row], row.reason) for row in built.left_out if row.row not in unbuilt]
        for row_, reason in sorted(bad, key=lambda one: one[0].number):
            on_bad(row_, reason)
        for draft in built.drafts:
            if draft.outcome is None:
                counts.new += 1
                on_draft(draft)
        checked.examples.add_all(built)
        counts.read += len(batch)
        counts.rows += len(built.drafts) + len(built.left_out)
    return checked

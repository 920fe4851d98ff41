"""Preflight: every row rendered and checked as for sending, and nothing stored."""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from mailer.flow.intake import Intake
from mailer.flow.preparation import Prepared
from mailer.flow.problems import Examples, Problems
from mailer.flow.submission import Counts, sort_out
from mailer.vocabulary.recipient import LeftOutAs


@dataclass(frozen=True, slots=True)
class Checked:
    """What a preflight found: `counts.new` rows can be sent."""

    source: str
    counts: Counts
    examples: Examples


def preflight(prepared: Prepared, *, chunk_size: int) -> Checked:
    """Read the source to the end. Raises `BadRowsError` when rows cannot be built, `SourceError` for damage."""
    intake = Intake(prepared, prepared.proposal, date=datetime.now(UTC))
    problems, counts, examples = Problems(prepared.source.name), Counts(), Examples()
    rows = prepared.source.rows()
    while batch := list(islice(rows, chunk_size)):
        left_out, addressed = sort_out(intake.address(row) for row in batch)
        built = intake.build(addressed, frozenset())
        for problem in built.problems:
            problems.add(problem)
        for row in (*left_out, *built.left_out):
            examples.add(row)
            counts.invalid += row.kind is LeftOutAs.INVALID
            counts.duplicate += row.kind is LeftOutAs.DUPLICATE
        counts.rows += len(batch)
        counts.new += len(built.drafts) - len(built.problems)
    if problems.rows:
        raise problems.error()
    return Checked(prepared.source.name, counts, examples)

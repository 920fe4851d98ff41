"""Problems of many rows, told once each: the first row in full, then how many others have the same."""

from collections import Counter
from dataclasses import dataclass, field

from mailer.flow.intake import Built, Problem
from mailer.policy.seen import Seen
from mailer.vocabulary.errors import TemplateError
from mailer.vocabulary.recipient import LeftOut, LeftOutAs

MOST_KINDS = 20
MOST_EXAMPLES = 20


class BadRowsError(TemplateError):
    """Rows that cannot be built; `problems` has one error for each different cause, the most frequent first."""

    def __init__(self, problems: tuple[TemplateError, ...], rows: int) -> None:
        first = problems[0]
        super().__init__(
            first.code,
            first.message,
            where=first.where,
            why=first.why,
            hint=first.hint,
            safe="Nothing was accepted and nothing was sent. --skip-bad sends the others.",
            cause=first.cause,
        )
        self.problems = problems
        self.rows = rows


@dataclass(slots=True)
class Problems:
    """Collects the problems of one run, in memory bounded by the number of different causes."""

    source: str
    rows: int = 0
    _first: dict[tuple[str, str | None], Problem] = field(default_factory=dict)
    _counts: dict[tuple[str, str | None], int] = field(default_factory=dict)

    def add(self, problem: Problem) -> None:
        """Count one."""
        self.rows += 1
        cause = (problem.error.message, problem.error.where)
        if cause in self._first or len(self._first) < MOST_KINDS:
            self._first.setdefault(cause, problem)
            self._counts[cause] = self._counts.get(cause, 0) + 1

    def error(self) -> BadRowsError:
        """All of them as one error to raise."""
        ordered = sorted(self._counts, key=lambda cause: -self._counts[cause])
        return BadRowsError(tuple(self._told(cause) for cause in ordered), self.rows)

    def _told(self, cause: tuple[str, str | None]) -> TemplateError:
        problem, others = self._first[cause], self._counts[cause] - 1
        error = problem.error
        also = (
            f"The same problem in {others:,} other row{'s' if others > 1 else ''}.".replace(",", " ")
            if others
            else None
        )
        whose = f" ({shorten(problem.email)})" if problem.email else ""
        return TemplateError(
            error.code,
            f"{self.source} row {problem.row}{whose}: {error.message}",
            where=error.where,
            why="\n".join(part for part in (error.why, also) if part) or None,
            hint=error.hint,
        )


@dataclass(slots=True)
class Examples:
    """The first rows that were left out, for the warnings on the screen; the ledger keeps all of them.

    `unescaped` counts, by column, the messages with a value that went into an HTML part as it is. `kept` are rows whose
    address came before and that are sent nevertheless, `twins` those where one came before that differs in case alone.
    """

    invalid: list[LeftOut] = field(default_factory=list)
    duplicate: list[LeftOut] = field(default_factory=list)
    unescaped: Counter[str] = field(default_factory=Counter)
    kept: list[tuple[int, str]] = field(default_factory=list)
    kept_count: int = 0
    twins: list[tuple[int, str]] = field(default_factory=list)
    twin_count: int = 0
    _repeated: Seen = field(default_factory=Seen)

    @property
    def repeated(self) -> int:
        """Different addresses among all the duplicates there were."""
        return len(self._repeated)

    def add_all(self, built: Built) -> None:
        """Keep those of some rows, as long as there are only a few yet."""
        for row in built.left_out:
            if row.kind is LeftOutAs.DUPLICATE:
                self._repeated.add(row.email)
            kept = self.invalid if row.kind is LeftOutAs.INVALID else self.duplicate
            if len(kept) < MOST_EXAMPLES:
                kept.append(row)
        self.unescaped.update(built.unescaped)
        self.kept_count += len(built.repeated)
        self.kept += built.repeated[: MOST_EXAMPLES - len(self.kept)]
        self.twin_count += len(built.twins)
        self.twins += built.twins[: MOST_EXAMPLES - len(self.twins)]


def shorten(email: str) -> str:
    """An address as it may stand in a log: `jane@…`."""
    return email.rpartition("@")[0] + "@…"

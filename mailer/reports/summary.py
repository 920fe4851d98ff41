"""A report in a few lines: one for each state with its explanation, and the two sums that must hold."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from mailer.reports.figures import about, grouped
from mailer.vocabulary.campaign import CampaignState
from mailer.vocabulary.recipient import State
from mailer.vocabulary.report import CampaignHead, DomainCount, ReasonCount, Report
from mailer.vocabulary.totals import Totals

STATES = (
    State.SENT,
    State.REFUSED,
    State.FAILED,
    State.DEFERRED,
    State.IN_DOUBT,
    State.SUPPRESSED,
    State.CANCELLED,
    State.QUEUED,
    State.CLAIMED,
    State.SENDING,
)
"""The states in the order people ask for them: what went well, what needs somebody, what is still to come."""

_DOMAIN_COUNTS = tuple(field.name for field in fields(DomainCount) if field.name != "domain")
_MOST_REASONS = 4
_LONGEST_WORDS = 60
_CONNECTION = "connection "

_EXPLANATIONS = {
    State.SENT: "accepted by the mail server",
    State.REFUSED: "the mail server said no",
    State.FAILED: "could not be sent from here",
    State.DEFERRED: "the mail server said not now",
    State.IN_DOUBT: "connection lost after the message – look before you resend",
    State.SUPPRESSED: "on the do-not-send list",
    State.CANCELLED: "campaign cancelled before the try",
    State.QUEUED: "waiting for a worker",
    State.CLAIMED: "held by a worker, nothing has gone out yet",
    State.SENDING: "a message may be going out right now",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StateLine:
    """How many recipients are in a state, and what that means in this campaign."""

    state: State
    count: int
    explanation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """An identity of the totals, written out: what is added, what it comes to, and what it ought to come to."""

    parts: str
    result: int
    expected: int
    unit: str

    @property
    def holds(self) -> bool:
        """True when the parts come to what they ought to."""
        return self.result == self.expected

    def __str__(self) -> str:
        difference = "" if self.holds else f" ≠ {grouped(self.expected)}"
        return f"{self.parts} = {grouped(self.result)}{difference} {self.unit} {'✓' if self.holds else '✗'}"


def state_lines(report: Report, *, next_try: datetime | None = None) -> tuple[StateLine, ...]:
    """One line for every state that a recipient is in. `next_try` is when the first deferred one is tried again."""
    return tuple(
        StateLine(state=state, count=count, explanation=_explain(state, report, next_try))
        for state in STATES
        if (count := count_of(state, report.totals))
    )


def left_out(totals: Totals) -> str:
    """The rows that never became recipients, by kind: `duplicate ×3 · invalid ×1`; empty when there are none."""
    kinds = (("duplicate", totals.duplicate), ("invalid", totals.invalid))
    return " · ".join(f"{kind} ×{grouped(count)}" for kind, count in kinds if count)


def sums(totals: Totals) -> tuple[Sum, Sum]:
    """The two identities of every report: of the rows, and of the accepted recipients."""
    rows = ((totals.accepted, "accepted"), (totals.invalid, "invalid"), (totals.duplicate, "duplicate"))
    states = [count for state in STATES if (count := count_of(state, totals))]
    return (
        Sum(
            parts=" + ".join(f"{grouped(count)} {word}" for count, word in rows),
            result=sum(count for count, _ in rows),
            expected=totals.rows,
            unit="row" if totals.rows == 1 else "rows",
        ),
        Sum(
            parts=" + ".join(map(grouped, states)) or "0",
            result=sum(states),
            expected=totals.accepted,
            unit="accepted",
        ),
    )


def count_of(state: State, totals: Totals) -> int:
    """Recipients in this state."""
    count: int = getattr(totals, state.value)
    return count


def most_frequent(reasons: Iterable[ReasonCount]) -> list[ReasonCount]:
    """The reasons, those of most recipients first."""
    return sorted(reasons, key=lambda reason: -reason.count)


def sorted_domains(domains: Iterable[DomainCount], *, problems_first: bool = False) -> list[DomainCount]:
    """The domains, the largest first, or those with the largest share of recipients in trouble first."""

    def trouble(domain: DomainCount) -> float:
        return (domain.refused + domain.failed + domain.deferred + domain.in_doubt) / max(domain.accepted, 1)

    return sorted(
        domains, key=lambda domain: (-trouble(domain) if problems_first else 0.0, -domain.accepted, domain.domain)
    )


def domains_in_brief(domains: Iterable[DomainCount], most: int, *, problems_first: bool = False) -> list[DomainCount]:
    """The same, but at most so many, and one more with the sums of all others: a list may have every domain once."""
    ordered = sorted_domains(domains, problems_first=problems_first)
    if len(ordered) <= most + 1:
        return ordered
    others = ordered[most:]
    counts = {name: sum(getattr(domain, name) for domain in others) for name in _DOMAIN_COUNTS}
    return [*ordered[:most], DomainCount(domain=f"{grouped(len(others))} others", **counts)]


def standing(campaign: CampaignHead) -> str:
    """What a reader must know before the numbers: paused and why, cancelled, not all read yet; else empty."""
    if campaign.state is CampaignState.PAUSED:
        return f"paused: {campaign.paused_reason or 'no reason was given'}"
    if campaign.state is CampaignState.CANCELLED:
        return f"cancelled: {campaign.cancelled_reason}" if campaign.cancelled_reason else "cancelled"
    if not campaign.source_complete:
        return "the list of recipients has not been read to its end"
    return ""


def words(reason: ReasonCount) -> str:
    """Code, enhanced code and text of a reason; where nobody said anything, where it happened."""
    said = " ".join(str(part) for part in (reason.code, reason.enhanced_code, reason.text) if part)
    return said or f"no reply, phase {reason.phase or 'unknown'}"


def _explain(state: State, report: Report, next_try: datetime | None) -> str:
    if state is State.SENT and report.campaign.server:
        return f"accepted by {report.campaign.server}"
    if state not in (State.REFUSED, State.FAILED, State.DEFERRED, State.IN_DOUBT):
        return _EXPLANATIONS[state]
    reasons = [reason for reason in report.reasons if reason.state is state]
    if state is State.IN_DOUBT:
        # Whether it broke or was closed makes no difference; whose end it was does.
        if all((reason.text or _CONNECTION).startswith(_CONNECTION) for reason in reasons):
            return _EXPLANATIONS[state]
        return f"{_together(reasons)} – look before you resend"
    explanation = _together(reasons) or _EXPLANATIONS[state]
    if state is State.DEFERRED and next_try is not None:
        wait = (next_try - report.as_of).total_seconds()
        explanation += f" – next try in {about(wait)}" if wait > 0 else " – next try is due"
    return explanation


def _together(reasons: Sequence[ReasonCount]) -> str:
    """`550 5.1.1 unknown user ×3 · 552 5.2.2 full ×2`, the most frequent first; a single reason needs no number."""
    if len(reasons) == 1:
        return _short(words(reasons[0]))
    frequent = most_frequent(reasons)
    shown = [f"{_short(words(reason))} ×{grouped(reason.count)}" for reason in frequent[:_MOST_REASONS]]
    if rest := sum(reason.count for reason in frequent[_MOST_REASONS:]):
        shown.append(f"others ×{grouped(rest)}")
    return " · ".join(shown)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_WORDS else f"{text[: _LONGEST_WORDS - 1].rstrip()}…"

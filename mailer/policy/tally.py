"""The tally of a report: what many recipients come to, added up one by one or by whole columns."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from mailer.policy.reasons import hint_for, normalise
from mailer.vocabulary.outcome import Class
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.recipient import State
from mailer.vocabulary.report import DomainCount, Percentiles, ReasonCount

if TYPE_CHECKING:
    from mailer.vocabulary.report import RecipientRecord

MOST_REASONS = 500
"""Different reasons that are told apart; what comes after is added to the last one of its state."""


class Said(NamedTuple):
    """Why a recipient was not sent to: what the server, or we, said."""

    code: int | None = None
    enhanced_code: str | None = None
    text: str | None = None
    phase: str | None = None
    failure: str | None = None
    reason: str | None = None


class Tally:
    """Sums in memory bounded by the refusals and the number of domains; everything else stays small."""

    def __init__(self) -> None:
        self.states: Counter[str] = Counter()
        self.attempts: Counter[int] = Counter()
        """Recipients by the number of attempts they took."""
        self.by_domain: Counter[tuple[str, str]] = Counter()
        """Recipients by domain and state."""
        self.refused: dict[str, tuple[int, str]] = {}
        self.tls: str | None = None
        """The TLS version of the first connection that somebody was sent to over."""
        self._reasons: dict[tuple[str, Said], tuple[int, str, Said]] = {}
        self._waits: Counter[int] = Counter()
        self._transactions: Counter[int] = Counter()
        self._seconds: Counter[int] = Counter()

    def add(self, record: "RecipientRecord") -> None:
        """Count one recipient."""
        state = record.state.value
        self.states[state] += 1
        self.attempts[record.attempts] += 1
        self.by_domain[record.email.rpartition("@")[2], state] += 1
        if record.queue_ms is not None:
            self.waited((record.queue_ms,))
        if record.state is State.SENT:
            self.tls = self.tls or record.tls
            if record.smtp_ms is not None:
                self.took((record.smtp_ms,))
            if record.last_try is not None:
                self.sent_at((int(record.last_try.timestamp()),))
            return
        said = Said(record.code, record.enhanced_code, record.text, record.phase, record.failure, record.reason)
        self.explain(state, said, record.email)

    def waited(self, times: Iterable[int]) -> None:
        """Milliseconds from accepting to the first try, of some recipients."""
        self._waits.update(map(_coarse, times))

    def took(self, times: Iterable[int]) -> None:
        """Milliseconds that the transactions of some sent recipients took."""
        self._transactions.update(map(_coarse, times))

    def sent_at(self, seconds: Iterable[int]) -> None:
        """When some recipients were sent to (Unix time, whole seconds)."""
        self._seconds.update(seconds)

    def explain(self, state: str, said: Said, email: str) -> None:
        """Note why one recipient is in a state other than sent."""
        code, enhanced_code, text, phase, _, reason = said
        if state == State.REFUSED and code is not None:
            self.refused[email] = (code, f"{enhanced_code or ''} {text or ''}".strip())
        if code is None and reason is None and text is None:
            return
        key = (state, Said(code, enhanced_code, normalise(text or ""), phase))
        if key not in self._reasons and len(self._reasons) >= MOST_REASONS:
            key = (state, Said(text="other"))
        count, example, first = self._reasons.get(key, (0, email, said))
        self._reasons[key] = (count + 1, example, first)

    def reasons(self) -> tuple[ReasonCount, ...]:
        """Reasons by how often they occur."""
        ordered = sorted(self._reasons.items(), key=lambda item: -item[1][0])
        return tuple(
            _reason(State(state), common, count, example, said) for (state, common), (count, example, said) in ordered
        )

    def domains(self) -> tuple[DomainCount, ...]:
        """Recipient domains by how many recipients they have."""
        domains: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for (domain, state), count in self.by_domain.items():
            domains[domain][state] = count
        found = [_domain(domain, states) for domain, states in domains.items()]
        return tuple(sorted(found, key=lambda domain: (-domain.accepted, domain.domain)))

    def timings(self) -> dict[str, Percentiles]:
        """How long recipients waited for their first try, and how long a transaction took."""
        named = {"queue_wait": self._waits, "transaction": self._transactions}
        return {name: _percentiles(counts) for name, counts in named.items() if counts}

    @property
    def peak_rate(self) -> float | None:
        """Most messages sent within one second."""
        return float(max(self._seconds.values())) if self._seconds else None


def _reason(state: State, common: Said, count: int, example: str, said: Said) -> ReasonCount:
    return ReasonCount(
        state=state,
        code=said.code,
        enhanced_code=said.enhanced_code,
        # What happened once is told in its own words; what is common to many has no row and no queue id.
        text=said.text if count == 1 else common.text or None,
        phase=Phase(said.phase) if said.phase else None,
        failure=Class(said.failure) if said.failure else None,
        count=count,
        example=example,
        hint=hint_for(said.code, said.enhanced_code, said.reason, state),
    )


def _domain(domain: str, states: Mapping[str, int]) -> DomainCount:
    return DomainCount(
        domain=domain,
        accepted=sum(states.values()),
        sent=states.get("sent", 0),
        deferred=states.get("deferred", 0),
        refused=states.get("refused", 0),
        failed=states.get("failed", 0),
        suppressed=states.get("suppressed", 0),
        in_doubt=states.get("in_doubt", 0),
    )


def _coarse(ms: int) -> int:
    """Two significant digits: percentiles of a million values from a table that stays small."""
    if ms < 100:
        return ms
    step = 10
    while ms >= 100 * step:
        step *= 10
    return ms // step * step


def _percentiles(counts: Mapping[int, int]) -> Percentiles:
    total = sum(counts.values())

    def at(share: float) -> int:
        passed = 0
        for value in sorted(counts):
            passed += counts[value]
            if passed >= share * total:
                return value
        return 0

    return Percentiles(p50=at(0.50), p95=at(0.95), p99=at(0.99))

"""The twelve invariants, checked by one function against the ledger, the relay's own log and the trail."""

import base64
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mailer.vocabulary.campaign import CampaignState, CampaignStatus
from mailer.vocabulary.recipient import State
from mailer.vocabulary.report import RecipientRecord
from tests.faults.acceptance import Taken
from tests.faults.trail import Value, marks, wrong_steps

_NOT_GIVEN = (State.REFUSED, State.FAILED, State.SUPPRESSED, State.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is left of a mailing when nothing is done about it any more."""

    status: CampaignStatus
    records: list[RecipientRecord]
    taken: Taken
    histories: Mapping[str, list[Value]]
    """The trail by address."""
    rows_read: int
    invalid: int
    duplicate: int
    recount: list[str]
    """What `mailer status --verify` finds."""
    upsets: int
    """Kills, cuts and timeouts, each of which may leave every connection's message in doubt."""
    connections: int
    in_time: bool
    left_behind: list[str] = field(default_factory=list)
    """What dead owners still hold, and processes that did not end."""
    resends: Mapping[str, int] = field(default_factory=dict)
    """How often somebody was let to be sent to again, by the operator or by the campaign's policy."""
    settled: frozenset[str] = frozenset()
    """Of whom the operator has said what became of them."""
    is_rolled_back: bool = False
    """The queue server has forgotten a part of the trail."""
    texts: Mapping[str, bytes] = field(default_factory=dict)
    """Logs, keys and reports of the whole run, by name."""
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tally:
    """What a mailing came to. The sums of many can be added up."""

    figures: Counter[str]

    @property
    def line(self) -> str:
        """The report line: messages begun, recipients accepted into the ledger, and what became of these."""
        told = self.figures
        ends = ("sent", "refused", "failed", "cancelled", "suppressed")
        return (
            f"attempted={told['attempted']} accepted={told['accepted']} "
            + " ".join(f"{name}={told[name]}" for name in ends)
            + f" in_doubt={told['in_doubt']} (the relay had accepted {told['in_doubt_1']}, not {told['in_doubt_0']})"
            f" resends={told['resends']}"
            f" lost={told['lost']} duplicated={told['duplicated']} unexpected={told['unexpected']}"
        )


def check(evidence: Evidence) -> list[str]:
    """What does not hold, each with the number of its invariant; empty when all twelve do."""
    return list(_violations(evidence))


def tally(evidence: Evidence) -> Tally:
    """Count what became of everybody."""
    given = _given(evidence)
    figures: Counter[str] = Counter(accepted=len(evidence.records), given=given.total())
    for record in evidence.records:
        figures[record.state.value] += 1
        count = given[record.email]
        if record.state is State.IN_DOUBT:
            figures[f"in_doubt_{min(1, count)}"] += 1
        figures["lost"] += record.state is State.SENT and not count and record.email not in evidence.settled
        figures["duplicated"] += count > 1 + evidence.resends.get(record.email, 0)
        figures["attempted"] += marks(evidence.histories.get(record.email, []))
    figures["resends"] = sum(evidence.resends.values())
    figures["lost"] += max(0, evidence.status.totals.accepted - len(evidence.records))
    figures["unexpected"] += len(check(evidence))
    return Tally(figures)


def _given(evidence: Evidence) -> Counter[str]:
    return Counter(entry.recipient for entry in evidence.taken.accepted)


def _violations(evidence: Evidence) -> Iterator[str]:
    totals, given = evidence.status.totals, _given(evidence)
    by_address = {record.email: record for record in evidence.records}
    counted = Counter(record.state.value for record in evidence.records)
    if not totals.add_up or len(by_address) != totals.accepted or len(evidence.records) != totals.accepted:
        yield f"1 partition: {len(evidence.records)} records, {totals}"
    if any(counted[state.value] != totals.to_dict()[state.value] for state in State):
        yield f"1 partition: records {dict(counted)}, counters {totals}"
    if evidence.status.state in (CampaignState.FINISHED, CampaignState.CANCELLED) and totals.open:
        yield f"1 partition: {evidence.status.state}, and {totals.open} are not final"
    left_out = (totals.invalid, totals.duplicate)
    if evidence.rows_read != totals.rows or left_out != (evidence.invalid, evidence.duplicate):
        yield f"2 intake: {evidence.rows_read} rows read, {totals.rows} counted, {left_out} left out"
    for record in evidence.records:
        yield from _of_one(record, given[record.email], evidence)
    most = evidence.upsets * evidence.connections
    if totals.in_doubt > most:
        yield f"6 in doubt: {totals.in_doubt}, though at most {most} can have been on the wire"
    for entry in evidence.taken.accepted:
        known = by_address.get(entry.recipient)
        if known is None:
            yield f"7 other key: {entry.recipient} was never accepted into the campaign"
        elif {entry.to, entry.marker} != {entry.recipient} or entry.message_id != known.message_id:
            yield f"7 mixed up: {entry}, the record says {known.message_id}"
    if not evidence.in_time:
        yield f"9 liveness: {evidence.status.state}, {totals}"
    for words in evidence.left_behind:
        yield f"9 liveness: {words}"
    for words in evidence.recount:
        yield f"10 recount: {words}"
    yield from _wrong_words(evidence, by_address)
    yield from _secrets(evidence)


def _of_one(record: RecipientRecord, given: int, evidence: Evidence) -> Iterator[str]:
    resends = evidence.resends.get(record.email, 0)
    history = evidence.histories.get(record.email, [])
    is_settled = record.email in evidence.settled
    if record.state is State.SENT and given < 1 and not is_settled:
        yield f"3 phantom: {record.email} is sent, and the relay has nothing"
    if given > 1 + resends:
        yield f"4 duplicate: {record.email} was given {given} times, and is {record.state}"
    if record.state in _NOT_GIVEN and given > resends and not is_settled:
        yield f"5 not a refusal: {record.email} is {record.state}, and the relay took it"
    if record.state is State.IN_DOUBT and not evidence.is_rolled_back and not marks(history):
        yield f"6 in doubt: {record.email} without a mark"
    if given and not evidence.is_rolled_back and not marks(history):
        yield f"6 in doubt: {record.email} was given without a mark"
    if not evidence.is_rolled_back:
        for words in wrong_steps(history, is_decided=bool(resends or is_settled)):
            yield f"8 final: {record.email}: {words} ({''.join(letter for letter, _, _ in history)})"


def _wrong_words(evidence: Evidence, by_address: Mapping[str, RecipientRecord]) -> Iterator[str]:
    denied: dict[str, set[tuple[int, str]]] = {}
    for entry in evidence.taken.denied:
        denied.setdefault(entry.recipient, set()).add((entry.code, entry.text))
    for record in by_address.values():
        words = (record.code, record.words)
        is_ours = record.email in evidence.settled
        if record.state is State.REFUSED and not is_ours and words not in denied.get(record.email, set()):
            yield f"11 refusal: {record.email} has {words}, the relay said {denied.get(record.email)}"


def _secrets(evidence: Evidence) -> Iterator[str]:
    forms = [form for secret in evidence.secrets for form in (secret.encode(), base64.b64encode(secret.encode()))]
    if forms:
        pattern = re.compile(b"|".join(re.escape(form.rstrip(b"=")) for form in forms))
        for name, text in evidence.texts.items():
            if pattern.search(text):
                yield f"12 secrets: a password stands in {name}"

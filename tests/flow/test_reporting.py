"""What a report says of many recipients at once."""

from datetime import UTC, datetime

from mailer.policy.tally import Tally
from mailer.vocabulary.outcome import Class
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.recipient import State
from mailer.vocabulary.report import RecipientRecord


def refused(row: int, text: str) -> RecipientRecord:
    return RecipientRecord(
        row=row,
        email=f"reader{row}@mail.example",
        state=State.REFUSED,
        code=550,
        enhanced_code="5.1.1",
        text=text,
        phase=Phase.RCPT,
        failure=Class.PERMANENT,
        attempts=1,
        last_try=datetime(2026, 11, 21, tzinfo=UTC),
    )


def tally(*records: RecipientRecord) -> Tally:
    tally = Tally()
    for record in records:
        tally.add(record)
    return tally


def test_refusals_that_differ_in_address_and_queue_id_are_one_reason() -> None:
    found = tally(*(refused(row, f"<reader{row}@mail.example> unknown (4Xy{row}Zq9)") for row in range(1, 901)))
    (reason,) = found.reasons()
    assert reason.count == 900
    assert "reader" not in (reason.text or "")
    assert reason.example == "reader1@mail.example"


def test_what_happened_once_is_told_in_its_own_words() -> None:
    (reason,) = tally(refused(7, "<reader7@mail.example> unknown")).reasons()
    assert reason.text == "<reader7@mail.example> unknown"


def test_the_refused_dict_has_the_servers_words_for_each_address() -> None:
    found = tally(refused(1, "unknown user"), refused(2, "no such user"))
    assert found.refused == {
        "reader1@mail.example": (550, "5.1.1 unknown user"),
        "reader2@mail.example": (550, "5.1.1 no such user"),
    }


def test_everybody_is_counted_once_by_state_domain_and_attempts() -> None:
    found = tally(refused(1, "unknown user"), refused(2, "unknown user"))
    assert found.states == {"refused": 2}
    assert found.attempts == {1: 2}
    (domain,) = found.domains()
    assert (domain.domain, domain.accepted, domain.refused) == ("mail.example", 2, 2)

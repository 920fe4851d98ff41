import re
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailer.reports.figures import grouped
from mailer.reports.summary import STATES, count_of
from mailer.reports.tables import domain_table, reason_table, status_table
from mailer.reports.terminal import report_text
from mailer.vocabulary.campaign import CampaignState
from mailer.vocabulary.recipient import State
from mailer.vocabulary.report import Report
from mailer.vocabulary.totals import Totals
from tests.thorough import first, pairs

from .samples import AS_OF, CAMPAIGNS, ENMITY, HEAD, PAUSED, REASONS, REPORT, hostile_report, status

# Everything a terminal might obey, and everything that turns the direction of text.
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")

counts = st.integers(0, 5_000_000)
all_totals = st.builds(
    lambda states, invalid, duplicate: Totals.of(states, invalid=invalid, duplicate=duplicate),
    st.fixed_dictionaries({state.value: counts for state in STATES}),
    counts,
    counts,
)


def rows_in(totals: Totals) -> str:
    return f"{grouped(totals.rows)} {'row' if totals.rows == 1 else 'rows'}"


def every_table(report: Report, *, width: int, color: bool = False) -> list[str]:
    return [
        report_text(report, width=width, color=color, note="saved"),
        reason_table(report, width=width, color=color),
        domain_table(report, width=width, color=color),
        status_table([status(report)], width=width, color=color),
    ]


@given(all_totals)
@example(Totals(rows=1, accepted=1, sent=1))
def test_both_sums_are_written_out_and_marked_as_right(totals: Totals) -> None:
    text = report_text(replace(REPORT, totals=totals), width=300)

    rows, accepted = text.splitlines()[-2:]
    assert rows.strip() == (
        f"check  {grouped(totals.accepted)} accepted + {grouped(totals.invalid)} invalid"
        f" + {grouped(totals.duplicate)} duplicate = {rows_in(totals)} ✓"
    )
    parts, result = accepted.strip().split(" = ")
    assert sum(int(part.replace(" ", "")) for part in parts.split(" + ")) == totals.accepted
    assert result == f"{grouped(totals.accepted)} accepted ✓"


@given(all_totals, st.integers(1, 1000))
@example(Totals(rows=1, accepted=1, sending=1), 1)
def test_sums_that_do_not_hold_are_marked_and_say_what_was_expected(totals: Totals, lost: int) -> None:
    wrong = replace(totals, accepted=totals.accepted + lost)
    text = report_text(replace(REPORT, totals=wrong), width=300)

    assert f"= {grouped(totals.rows + lost)} ≠ {rows_in(totals)} ✗" in text
    assert f"= {grouped(totals.accepted)} ≠ {grouped(totals.accepted + lost)} accepted ✗" in text
    assert "mailer status autumn-offer-7f3c --verify" in text


@given(all_totals, st.integers(1, 200))
def test_every_state_that_occurs_has_its_line_with_the_whole_number_at_any_width(totals: Totals, width: int) -> None:
    report = replace(REPORT, totals=totals)
    lines = dict(re.findall(r"│ (\w+) +│ +([\d ]*\d) │", report_text(report, width=width)))

    expected = {state.value: grouped(count) for state in STATES if (count := count_of(state, totals))}
    assert {state: count for state, count in lines.items() if state in set(State)} == expected


def test_states_come_in_the_order_people_ask_for_them() -> None:
    one_each = Totals.of(dict.fromkeys(State, 1), invalid=1, duplicate=1)
    lines = re.findall(r"^ +│ (\w+)", report_text(replace(REPORT, totals=one_each), width=100), re.MULTILINE)

    assert lines == [
        "sent",
        "refused",
        "failed",
        "deferred",
        "in_doubt",
        "suppressed",
        "cancelled",
        "queued",
        "claimed",
        "sending",
        "left",
    ]


@pytest.mark.parametrize(("words", "width"), pairs(ENMITY, [40, 100]))
def test_no_escape_byte_and_no_other_control_reaches_a_pipe(words: str, width: int) -> None:
    for text in every_table(hostile_report(words), width=width):
        assert not OBEYED.search(text)


@pytest.mark.parametrize("words", first(4, ENMITY))
def test_on_a_terminal_there_is_no_escape_sequence_but_our_own_colours(words: str) -> None:
    for text in every_table(hostile_report(words), width=100, color=True):
        assert "\x1b[" in text
        assert not OBEYED.search(re.sub(r"\x1b\[[\d;]*m", "", text))


@pytest.mark.parametrize("term", ["dumb", "xterm-256color"])
def test_only_the_caller_decides_about_colour(term: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("COLUMNS", "33")
    monkeypatch.setenv("FORCE_COLOR", "1")
    plain = report_text(REPORT, width=100)
    monkeypatch.delenv("FORCE_COLOR")
    monkeypatch.setenv("NO_COLOR", "1")
    coloured = report_text(REPORT, width=100, color=True)

    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == plain


def test_markup_in_data_is_just_text() -> None:
    words = "[bold]x[/bold] :smile:"

    assert words in reason_table(replace(REPORT, reasons=(replace(REASONS[0], text=words),)), width=200)


@given(st.integers(40, 200))
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    for text in every_table(REPORT, width=width) + every_table(PAUSED, width=width):
        assert max(map(len, text.splitlines())) <= width


@given(st.integers(60, 200))
def test_nothing_that_was_said_is_cut_off_at_any_width(width: int) -> None:
    shown = re.sub(r"\s", "", reason_table(replace(REPORT, reasons=REASONS[4:5]), width=width))

    for letters in ("nameless@mail.example", "row512:thetemplateneedsfirst_name", '{{first_name|default("there")}}'):
        # Cells are folded over lines, so only their letters are compared, each as often as it occurs.
        assert all(shown.count(letter) >= letters.count(letter) for letter in letters)


@pytest.mark.parametrize(
    ("seconds", "said"), [(287, "next try in 5 min"), (8000, "next try in 2 h"), (-1, "next try is due")]
)
def test_a_deferred_recipient_knows_when_it_is_tried_again(seconds: int, said: str) -> None:
    assert f"451 4.3.0 try again later – {said}" in report_text(REPORT, next_try=AS_OF + timedelta(seconds=seconds))


def test_one_reason_needs_no_number_and_many_are_shortened_to_the_most_frequent() -> None:
    single = replace(REPORT, reasons=REASONS[:1])
    many = replace(REPORT, reasons=tuple(replace(REASONS[0], code=550 + n, count=10 - n) for n in range(7)))

    assert "│ 550 5.1.1 unknown user  " in report_text(single)
    assert "553 5.1.1 unknown user ×7 · others ×15" in report_text(many, width=200)


def test_states_without_a_known_reason_are_explained_all_the_same() -> None:
    text = report_text(replace(REPORT, reasons=(), campaign=replace(HEAD, server=None)))

    assert "accepted by the mail server" in text
    assert "the mail server said no" in text
    assert "could not be sent from here" in text
    assert "the mail server said not now" in text


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (replace(HEAD, state=CampaignState.PAUSED, paused_reason="login refused"), "paused: login refused"),
        (replace(HEAD, state=CampaignState.PAUSED), "paused: no reason was given"),
        (replace(HEAD, state=CampaignState.CANCELLED), "cancelled"),
        (replace(HEAD, state=CampaignState.DRAFT, source_complete=False), "has not been read to its end"),
    ],
)
def test_what_must_be_known_before_the_numbers_stands_above_them(head: object, said: str) -> None:
    text = report_text(replace(REPORT, campaign=head))  # type: ignore[arg-type]  # parametrised as object

    assert said in text.split("┌")[0]


def test_an_empty_campaign_has_a_report_too() -> None:
    empty = Report(as_of=AS_OF, campaign=HEAD, totals=Totals())

    assert "0 = 0 accepted ✓" in report_text(empty)
    assert "┌" not in report_text(empty)
    assert all(every_table(empty, width=80))


def test_the_reason_of_a_pause_is_in_the_overview() -> None:
    assert "newsletter-1a2b is paused: 5 refusals in a row" in status_table(CAMPAIGNS)


def test_the_overview_marks_a_campaign_whose_totals_do_not_add_up() -> None:
    good, bad = CAMPAIGNS[0], replace(CAMPAIGNS[0], totals=replace(CAMPAIGNS[0].totals, sent=1))

    assert status_table([good]).count("✓") == status_table([bad]).count("✗") == 1


def test_domains_in_trouble_come_first_when_asked_for() -> None:
    by_size, by_trouble = domain_table(REPORT), domain_table(REPORT, problems_first=True)

    assert by_size.index("mail.example") < by_size.index("post.example")
    assert by_trouble.index("post.example") < by_trouble.index("mail.example")

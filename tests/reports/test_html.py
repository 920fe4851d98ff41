import io
import re
import tracemalloc
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.reports.listing import Row
from mailer.reports.stacked_bar import GAP, LENGTH, segments
from mailer.reports.summary import STATES
from mailer.vocabulary.recipient import LeftOut
from mailer.vocabulary.report import Report
from mailer.vocabulary.totals import Totals
from tests.reports.writing import write_html

from .samples import ENMITY, NEXT_TRY, PAUSED, RECORDS, REPORT, ROWS, hostile_report, hostile_rows, sent

VOID = {"meta", "input"}
TURNS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


class Page(HTMLParser):
    """A page as a browser takes it: elements with their attributes, and text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def shape(self) -> list[tuple[str, frozenset[str]]]:
        return [(tag, frozenset(attributes)) for tag, attributes in self.elements]


def page(report: Report, rows: Iterable[Row] = ()) -> str:
    stream = io.StringIO()
    write_html(report, rows, stream, next_try=NEXT_TRY)
    return stream.getvalue()


@pytest.mark.parametrize("words", ENMITY)
def test_hostile_words_change_no_element_and_no_attribute_of_the_page(words: str) -> None:
    hostile = Page(page(hostile_report(words), hostile_rows(words)))
    harmless = Page(page(hostile_report("words"), hostile_rows("words")))

    assert hostile.shape == harmless.shape
    assert hostile.open == []


@pytest.mark.parametrize("words", ENMITY)
def test_no_control_and_no_bidirectional_mark_reaches_the_page(words: str) -> None:
    assert not TURNS.search(page(hostile_report(words), hostile_rows(words)))


@given(st.text(min_size=1))
def test_whatever_is_said_is_said_as_text(words: str) -> None:
    hostile = Page(page(REPORT, hostile_rows(words)))

    assert hostile.shape == Page(page(REPORT, hostile_rows("words"))).shape


def test_hostile_words_are_still_readable() -> None:
    assert "<script>alert(1)</script>" in Page(page(hostile_report("<script>alert(1)</script>"))).text


def test_the_page_allows_itself_its_own_style_and_script_and_nothing_else() -> None:
    source = page(REPORT, ROWS)
    policy = next(meta["content"] for meta in Page(source).all("meta") if meta.get("http-equiv"))
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))

    def hashed(tag: str) -> str:
        [inside] = re.findall(rf"<{tag}>(.*?)</{tag}>", source, re.DOTALL)
        return f"'sha256-{b64encode(sha256(inside.encode()).digest()).decode()}'"

    assert rules == {
        "default-src": "'none'",
        "style-src": hashed("style"),
        "script-src": hashed("script"),
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_the_page_needs_no_network_and_no_other_file() -> None:
    source = page(REPORT, ROWS)
    parsed = Page(source)

    assert not any({"src", "href", "style", "srcset"} & attributes.keys() for _, attributes in parsed.elements)
    assert not {"link", "img", "iframe", "base", "object"} & {tag for tag, _ in parsed.elements}
    assert "url(" not in source
    assert "@import" not in source


def test_tables_are_tables_with_a_caption_and_scopes() -> None:
    parsed = Page(page(REPORT, ROWS))

    assert len(parsed.all("table")) == len(parsed.all("caption")) == 6
    assert all(head.get("scope") in ("col", "row") for head in parsed.all("th"))


def test_every_state_is_a_word_and_not_only_a_colour() -> None:
    parsed = Page(page(PAUSED))
    [bar] = parsed.all("svg")

    assert bar["aria-label"] == "250 000 sent, 6 refused, 1 204 000 queued, 47 claimed, 3 sending"
    for state in ("sent", "refused", "queued", "claimed", "sending"):
        assert state in parsed.text


def test_the_page_is_made_for_light_dark_and_paper() -> None:
    source = page(REPORT)

    assert '<meta name="color-scheme" content="light dark">' in source
    assert "@media (prefers-color-scheme: dark)" in source
    assert "@media print" in source


def test_both_sums_are_on_the_page() -> None:
    text = Page(page(REPORT)).text

    assert "996 accepted + 1 invalid + 3 duplicate = 1 000 rows ✓" in text
    assert "983 + 6 + 1 + 4 + 1 + 1 = 996 accepted ✓" in text


def test_sums_that_do_not_hold_cannot_be_overlooked() -> None:
    wrong = Page(page(replace(REPORT, totals=replace(REPORT.totals, sent=982))))

    assert "982 + 6 + 1 + 4 + 1 + 1 = 995 ≠ 996 accepted ✗" in wrong.text
    assert [item for item in wrong.all("li") if item.get("class") == "wrong"]


def test_everyone_not_sent_to_is_listed_in_full_and_everyone_sent_only_counted() -> None:
    source = page(REPORT, ROWS)
    listed = re.findall(r'<th scope="row" class="code address">(.*?)</th>', source)

    assert [unescape(address) for address in listed] == [
        row.email for row in ROWS if isinstance(row, LeftOut) or row.state != "sent"
    ]
    text = Page(source).text
    for told in (
        "550 5.1.1 unknown user",
        "rcpt · permanent",
        "<00000003.7f3c@acme.example>",
        "next 2026-11-21 07:26:15Z",
        "dot · unknown · cut",
        "two @ signs",
    ):
        assert told in text


def test_a_page_without_anybody_to_list_says_so() -> None:
    assert "Nobody." in page(REPORT, RECORDS[:2])
    assert "Nobody." not in page(REPORT, RECORDS)


@pytest.mark.thorough
def test_a_hundred_thousand_successes_add_nothing_to_the_page_or_to_the_memory() -> None:
    row = sent(1, "ann@mail.example")
    alone = page(REPORT)
    tracemalloc.start()
    try:
        crowded = page(REPORT, (row for _ in range(100_000)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert crowded == alone
    assert peak < 2_000_000


@given(st.dictionaries(st.sampled_from(STATES), st.integers(1, 10_000_000)))
def test_the_bar_is_filled_exactly_and_shows_every_state(counts: dict[str, int]) -> None:
    bar = segments(Totals.of(counts, invalid=0, duplicate=0))

    assert {segment.state for segment in bar} == counts.keys()
    assert all(segment.length >= 6 for segment in bar)
    for before, after in pairwise(bar):
        assert before.begin + before.length + GAP == pytest.approx(after.begin, abs=0.02)
    if bar:
        assert bar[-1].begin + bar[-1].length + GAP == pytest.approx(LENGTH, abs=0.02)

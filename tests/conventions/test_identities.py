"""`rows = accepted + invalid + duplicate`, and accepted is the sum of the states: in every view, at every moment."""

import json
import re
from pathlib import Path

import pytest

from mailer.vocabulary.recipient import State
from tests.cli.desk import Desk, Done, identities
from tests.conventions import tour


def totals_of(done: Done) -> dict[str, int]:
    """The totals of a document, wherever they stand in it."""
    document = done.document
    holder = document["campaigns"][0] if "campaigns" in document else document.get("campaign", {})
    found: dict[str, int] = document.get("totals") or holder["totals"]
    return found


@pytest.mark.thorough
def test_both_sums_hold_in_every_view_before_while_and_after(own_desk: Desk, tmp_path: Path) -> None:
    """Queued, worked, tried again and cancelled: status, watch, report as document, page, table and lines agree."""
    own_desk.campaign(*tour.PEOPLE)
    own_desk.run("send", "--yes", "--detach")
    (campaign_id,) = own_desk.ids()
    for step in (
        ("status",),
        ("pause", campaign_id, "--reason", "later"),
        ("resume", campaign_id),
        ("worker", "--burst"),
        ("retry", campaign_id, "--state", "deferred", "--yes"),
        ("worker", "--burst"),
        ("cancel", campaign_id, "--reason", "enough"),
    ):
        own_desk.run(*step)
        page = tmp_path / "report.html"
        views = [own_desk.run(*words, "--json") for words in (("status",), ("status", "--verify"), ("report",))]
        assert own_desk.run("report", "--format", "html", "-o", str(page)).code == 0
        first, *others = (totals_of(view) for view in views)
        assert identities(first), step
        assert others == [first, first], step
        lines = [
            json.loads(line) for line in own_desk.run("report", "--all-rows", "--format", "jsonl").out.splitlines()
        ]
        counted = {state.value: sum(line["state"] == state.value for line in lines) for state in State}
        assert {state: first[state] for state in counted} == counted, step
        assert len(lines) == first["rows"], step
        table = own_desk.run("report").out
        for text in (table, page.read_text(encoding="utf-8")):
            assert re.search(r"5 accepted \+ 1 invalid \+ 1 duplicate = 7 rows", text), (step, text)
            assert re.search(r"= 5 accepted", text), (step, text)
            assert "✗" not in text, step

"""The demo's list comes to what its plan says, whatever number of mails is asked for."""

import json
from collections import Counter
from pathlib import Path

import pytest

from mailer.demo.people import FEWEST, plan, write_list


@pytest.mark.parametrize("messages", [FEWEST, FEWEST + 1, 60, 67, 68, 100, 200, 1000])
def test_a_demo_of_any_size_has_every_outcome(tmp_path: Path, messages: int) -> None:
    """Every special address once, and as many duplicates as planned."""
    write_list(tmp_path / "people.jsonl", messages)
    rows = [json.loads(line) for line in (tmp_path / "people.jsonl").read_text(encoding="utf-8").splitlines()]
    counted = Counter(row["email"] for row in rows)
    planned = plan(messages)
    assert len(rows) == messages
    assert sum(counted.values()) - len(counted) == planned.duplicate
    assert {address: counted[address] for address in planned.special} == dict.fromkeys(planned.special, 1)

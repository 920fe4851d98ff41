"""The page of conventions: every row names its tests, and every test it names is there."""

from pathlib import Path

import pytest

from tests.proofs import missing, named_in, page, unnamed

PAGE = page("conventions.md")
ROWS = {cells[1].strip(): line for line in PAGE.splitlines() if len(cells := line.split(" | ", 1)[0].split("|")) == 2}


def test_the_page_has_every_convention() -> None:
    assert [row for row in ROWS if row.isdigit() or row == "+"] == [*map(str, range(1, 23)), "+"]


@pytest.mark.parametrize("row", [row for row in ROWS if row.isdigit() or row == "+"])
def test_a_row_names_tests_that_exist(row: str) -> None:
    named = named_in(ROWS[row])
    assert named
    assert missing(named) == []


def test_every_test_of_this_folder_proves_a_row() -> None:
    """What is not on the page does not belong here."""
    assert unnamed(PAGE, by=Path(__file__)) == set()

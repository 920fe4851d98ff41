"""The page of faults: every fault has its row, and every test that a row names is there."""

import re
from pathlib import Path

import pytest

from tests.proofs import missing, named_in, page, unnamed

PAGE = page("reliability.md")
ROW = re.compile(r"^\| (\d+) \|.*\|$", re.MULTILINE)
ROWS = {int(match[1]): match[0] for match in ROW.finditer(PAGE)}


def test_every_fault_has_one_row() -> None:
    """From 1 to 99, in order."""
    assert [int(match[1]) for match in ROW.finditer(PAGE)] == list(range(1, 100))


@pytest.mark.parametrize("number", sorted(ROWS))
def test_a_row_names_tests_that_exist_or_says_why_there_is_none(number: int) -> None:
    """A fault without either is not proved."""
    named = named_in(ROWS[number])
    assert named or "no test: " in ROWS[number]
    assert missing(named) == []


def test_every_test_of_this_folder_proves_a_row() -> None:
    """What is not on the page does not belong here."""
    assert unnamed(PAGE, by=Path(__file__)) == set()


def test_the_number_of_a_test_is_the_number_of_its_row() -> None:
    """`test_44_45_…` is in the rows 44 and 45."""
    wrong = []
    for file, test in named_in(PAGE):
        numbers = re.match(r"test_((?:\d\d_)+)", test)
        if file.startswith("tests/reliability/") and numbers:
            wrong += [f"{test} in {no}" for no in map(int, numbers[1].split("_")[:-1]) if test not in ROWS[no]]
    assert wrong == []

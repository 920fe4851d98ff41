"""The page of faults: every fault has its row, and every test that a row names is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
NAMED = re.compile(r"(tests/[\w/]+\.py)::(test_\w+)")
ROW = re.compile(r"^\| (\d+) \|.*\|$", re.MULTILINE)
ROWS = {int(match[1]): match[0] for match in ROW.finditer(PAGE)}
KINDS = (ast.FunctionDef, ast.AsyncFunctionDef)


@cache
def names_in(file: str) -> frozenset[str]:
    """The tests of a file; none where there is no such file."""
    path = ROOT / file
    if not path.is_file():
        return frozenset()
    found = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return frozenset(node.name for node in found if isinstance(node, KINDS) and node.name.startswith("test_"))


def test_every_fault_has_one_row() -> None:
    """From 1 to 99, in order."""
    assert [int(match[1]) for match in ROW.finditer(PAGE)] == list(range(1, 100))


@pytest.mark.parametrize("number", sorted(ROWS))
def test_a_row_names_tests_that_exist_or_says_why_there_is_none(number: int) -> None:
    """A fault without either is not proved."""
    named = NAMED.findall(ROWS[number])
    assert named or "no test: " in ROWS[number]
    assert [f"{file}::{test}" for file, test in named if test not in names_in(file)] == []


def test_every_test_of_this_folder_proves_a_row() -> None:
    """What is not on the page does not belong here."""
    proving = {test for file, test in NAMED.findall(PAGE) if file.startswith("tests/reliability/")}
    files = [path for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__)]
    here = {test for path in files for test in names_in(str(path.relative_to(ROOT)))}
    assert here - proving == set()


def test_the_number_of_a_test_is_the_number_of_its_row() -> None:
    """`test_44_45_…` is in the rows 44 and 45."""
    wrong = []
    for file, test in NAMED.findall(PAGE):
        numbers = re.match(r"test_((?:\d\d_)+)", test)
        if file.startswith("tests/reliability/") and numbers:
            wrong += [f"{test} in {no}" for no in map(int, numbers[1].split("_")[:-1]) if test not in ROWS[no]]
    assert wrong == []

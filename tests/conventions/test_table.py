"""The page of conventions: every row names its tests, and every test it names is there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "conventions.md").read_text(encoding="utf-8")
NAMED = re.compile(r"(tests/[\w/]+\.py)::(test_\w+)")
ROWS = {cells[1].strip(): line for line in PAGE.splitlines() if len(cells := line.split(" | ", 1)[0].split("|")) == 2}
KINDS = (ast.FunctionDef, ast.AsyncFunctionDef)


@cache
def names_in(file: str) -> frozenset[str]:
    """The tests of a file, also of classes; none where there is no such file."""
    path = ROOT / file
    if not path.is_file():
        return frozenset()
    found = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return frozenset(node.name for node in found if isinstance(node, KINDS) and node.name.startswith("test_"))


def test_the_page_has_every_convention() -> None:
    assert [row for row in ROWS if row.isdigit() or row == "+"] == [*map(str, range(1, 23)), "+"]


@pytest.mark.parametrize("row", [row for row in ROWS if row.isdigit() or row == "+"])
def test_a_row_names_tests_that_exist(row: str) -> None:
    named = NAMED.findall(ROWS[row])
    assert named
    assert [f"{file}::{test}" for file, test in named if test not in names_in(file)] == []


def test_every_test_of_this_folder_proves_a_row() -> None:
    """What is not on the page does not belong here."""
    proving = {test for file, test in NAMED.findall(PAGE) if file.startswith("tests/conventions/")}
    files = [path for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__)]
    here = {test for path in files for test in names_in(str(path.relative_to(ROOT)))}
    assert here - proving == set()

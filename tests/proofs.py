"""Pages whose rows name the tests that prove them: which those are, and whether they are there."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
_NAMED = re.compile(r"(tests/[\w/]+\.py)::(test_\w+)")
_KINDS = (ast.FunctionDef, ast.AsyncFunctionDef)


def page(name: str) -> str:
    """A page of the documentation."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def named_in(text: str) -> list[tuple[str, str]]:
    """The tests that a row or a page names: file and function."""
    return _NAMED.findall(text)


def missing(named: list[tuple[str, str]]) -> list[str]:
    """Those of them that are not there."""
    return [f"{file}::{test}" for file, test in named if test not in _tests_of(file)]


def unnamed(text: str, by: Path) -> set[str]:
    """The tests beside the file `by`, which looks after this page, that the page does not name."""
    folder = f"{by.parent.relative_to(ROOT)}/"
    proving = {test for file, test in named_in(text) if file.startswith(folder)}
    files = [path for path in by.parent.glob("test_*.py") if path != by]
    return {test for path in files for test in _tests_of(str(path.relative_to(ROOT)))} - proving


@cache
def _tests_of(file: str) -> frozenset[str]:
    """The tests of a file, also of classes; none where there is no such file."""
    path = ROOT / file
    if not path.is_file():
        return frozenset()
    found = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return frozenset(node.name for node in found if isinstance(node, _KINDS) and node.name.startswith("test_"))

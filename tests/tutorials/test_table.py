"""The table for those who come from smtplib: every test it names is there, and every topic's test stands in it."""

import ast
import re
from pathlib import Path

from mailer.policy.providers import PROVIDERS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "smtplib.md").read_text(encoding="utf-8")
NAMED = re.compile(r"(tests/[\w/]+\.py)::(test_\w+)")


def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {function.name for function in functions if function.name.startswith("test_")}


def test_every_test_that_is_named_exists() -> None:
    named = set(NAMED.findall(PAGE))
    assert len(named) > 25
    assert {(file, test) for file, test in named if test not in names_in(ROOT / file)} == set()


def test_every_topic_that_meets_a_real_server_stands_in_the_table() -> None:
    topics = [file for file in Path(__file__).parent.glob("test_*.py") if file.name != "test_table.py"]
    unnamed = {
        test
        for file in topics
        for test in names_in(file)
        if test.startswith("test_") and (f"tests/tutorials/{file.name}", test) not in set(NAMED.findall(PAGE))
    }
    assert unnamed == {
        # About these tests themselves, or said of a whole row already.
        "test_every_preset_is_expected_here",
        "test_a_missing_password_is_said_before_anything_happens",
    }


def test_the_presets_are_those_of_the_program() -> None:
    (table,) = re.findall(r"\| preset \|.*?\n\n", PAGE, re.DOTALL)
    rows = [line.split(" | ") for line in table.splitlines()[2:] if line]
    shown = {
        name.removesuffix("-REGION"): (row[1], int(row[2]))
        for row in rows
        for name in re.findall(r"`([\w-]+)`", row[0].partition(", as")[0])
    }
    assert shown == {
        name: (provider.host.replace("{region}", "REGION"), provider.port) for name, provider in PROVIDERS.items()
    }

"""Every code that mailer raises is explained, and every explained one is raised."""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import mailer as package
from mailer.cli.catalogue import catalogue
from mailer.cli.complaints import complain, server_warning, warn
from mailer.cli.invocation import Invocation, written
from mailer.vocabulary.errors import RelayError, SourceError
from tests.diagnosis.command_line import CommandLine

SOURCES = Path(package.__file__).parent
CODE = re.compile(r"\b[EW]\d{3}\b")


def texts(tree: ast.AST) -> Iterator[str]:
    """Every text in the code, docstrings left out: they may speak of codes that others raise."""
    told = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.value


@cache
def raised() -> set[str]:
    # An example in the help is no error.
    sources = [file.read_text() for file in SOURCES.rglob("*.py") if "commands" not in file.parts]
    trees = [ast.parse(source) for source in sources if CODE.search(source)]
    return {code for tree in trees for text in texts(tree) for code in CODE.findall(text)}


def test_every_code_that_is_raised_has_an_entry() -> None:
    assert raised() - set(catalogue()) == set()


def test_every_entry_is_raised_somewhere() -> None:
    assert set(catalogue()) - raised() == set()


def test_every_entry_says_what_why_how_and_what_is_safe() -> None:
    for code, entry in catalogue().items():
        assert all([entry.title, entry.means, entry.causes, entry.fix, entry.safe]), code
        assert not entry.title.endswith("."), code


async def test_a_code_is_explained_as_text_and_as_a_document(mailer: CommandLine) -> None:
    text, document = await mailer("explain", "e401"), await mailer("explain", "401", "--json")
    assert text.code == document.code == 0
    assert text.out.startswith("E401: the server speaks STARTTLS, and the URL asks for TLS from the start\n")
    for part in ("usual causes\n  - ", "how to mend it\n  - ", "what is safe\n  "):
        assert part in text.out
    told = document.document
    assert (told["schema_version"], told["code"], sorted(told)) == (
        1,
        "E401",
        ["causes", "code", "fix", "means", "safe", "schema_version", "title"],
    )


async def test_without_a_code_all_are_listed(mailer: CommandLine) -> None:
    text, document = await mailer("explain"), await mailer("explain", "--json")
    assert CODE.findall(text.out) == [one["code"] for one in document.document["codes"]]
    assert set(CODE.findall(text.out)) == set(catalogue())


async def test_a_code_that_is_none_is_an_error_with_the_nearest_one(mailer: CommandLine) -> None:
    done = await mailer("explain", "E4O1")
    assert (done.code, done.out) == (2, "")
    assert "did you mean E4" in done.err


@pytest.mark.parametrize(("code", "kind"), [("W210", "warning"), ("E211", "error")])
def test_what_does_not_end_a_command_ends_with_where_to_read_more(
    capsys: pytest.CaptureFixture[str], code: str, kind: str
) -> None:
    warn(SourceError(code, "some rows are left out", hint="mend them"), Invocation())
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == f"{kind}[{code}]: some rows are left out\n  fix: mend them\n  more: mailer explain {code}\n"
    warn(SourceError(code, "some rows are left out"), Invocation(as_json=True))
    warn(SourceError(code, "some rows are left out"), Invocation(verbosity=-1))
    assert capsys.readouterr().err == ""


def test_what_the_look_at_the_queue_server_finds_is_a_warning_like_any_other() -> None:
    found = server_warning("W502 appendfsync is not always: a power loss may forget the last second")
    assert (found.code, found.message, found.why) == (
        "W502",
        "appendfsync is not always",
        "a power loss may forget the last second",
    )
    assert str(found.hint).startswith("mailer doctor --redis")


def test_a_document_is_one_line_without_blanks() -> None:
    assert written({"schema_version": 1, "text": "a, b: c"}) == '{"schema_version":1,"text":"a, b: c"}'


def test_an_error_ends_with_where_to_read_more(capsys: pytest.CaptureFixture[str]) -> None:
    error = RelayError("E431", "nothing is listening", hint="listen", safe="All is safe.")
    assert complain(error, Invocation()) == 4
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2:] == ["  All is safe.", "  more: mailer explain E431"]
    complain(error, Invocation(as_json=True))
    assert "more" not in json.loads(capsys.readouterr().err)["error"]

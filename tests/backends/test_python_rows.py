"""Lists that a Python file makes: any iterable, plain or asynchronous, and errors that name the line in it."""

import threading
from pathlib import Path

import pytest

from mailer.backends.sources.opening import open_source
from mailer.backends.sources.python_rows import PythonRows
from mailer.interfaces.source import RecipientSource
from mailer.vocabulary.errors import SourceError


def opened(tmp_path: Path, text: str, name: str = "rows") -> RecipientSource:
    (tmp_path / "campaign.py").write_text(text, encoding="utf-8")
    return open_source(f"campaign.py:{name}", base=tmp_path)


GOOD = {
    "list": "rows = [{'email': 'a@x.test'}, {'email': 'b@x.test'}]",
    "generator function": "def rows():\n    yield {'email': 'a@x.test'}\n    yield {'email': 'b@x.test'}",
    "function": "def rows():\n    return [{'email': f'{n}@x.test'} for n in 'ab']",
    "async generator": (
        "import asyncio\nasync def rows():\n    for n in 'ab':\n        await asyncio.sleep(0)\n"
        "        yield {'email': f'{n}@x.test'}"
    ),
    "one mapping filled again": (
        "def rows():\n    row = {}\n    for n in 'ab':\n        row['email'] = f'{n}@x.test'\n        yield row"
    ),
    "a data class, a name of the script, nothing sent": (
        "from __future__ import annotations\nfrom dataclasses import asdict, dataclass\n@dataclass\nclass Person:\n"
        "    email: str\nrows = [asdict(Person(f'{n}@x.test')) for n in 'ab']\n"
        "if __name__ == '__main__':\n    raise SystemExit('sent')"
    ),
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_anything_that_gives_mappings_is_a_list(text: str, tmp_path: Path) -> None:
    source = opened(tmp_path, text)
    assert [(row.number, row.columns["email"]) for row in source.rows()] == [(1, "a@x.test"), (2, "b@x.test")]
    assert (source.name, source.columns) == ("campaign.py:rows", None)


@pytest.mark.parametrize("kind", ["generator function", "async generator"])
def test_it_has_no_hash_and_is_read_once(kind: str, tmp_path: Path) -> None:
    source = opened(tmp_path, GOOD[kind])
    assert isinstance(source, PythonRows)
    assert (source.content_hash, source.is_repeatable) == (None, False)
    assert len(list(source.rows())) == 2
    with pytest.raises(SourceError, match="only once"):
        list(source.rows())


@pytest.mark.parametrize("kind", ["list", "function"])
def test_a_list_can_be_read_again_and_the_file_runs_once(kind: str, tmp_path: Path) -> None:
    """So its length is known before it is read, though not whether another run would bring the same."""
    runs = tmp_path / "runs"
    source = opened(tmp_path, f"with open({str(runs)!r}, 'a') as runs: runs.write('x')\n{GOOD[kind]}")
    assert isinstance(source, PythonRows)
    assert (source.content_hash, source.is_repeatable) == (None, True)
    assert list(source.rows()) == list(source.rows())
    assert runs.read_text() == "x"


def test_the_files_beside_it_can_be_imported_and_take_nobodys_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    (tmp_path / "our_database_of_people.py").write_text("people = [{'email': 'a@x.test'}]")
    (tmp_path / "email.py").write_text("raise ImportError('the wrong one')")
    text = "import email.message\nfrom our_database_of_people import people as rows\n"
    assert len(list(opened(tmp_path, text).rows())) == 1


def test_an_item_that_is_no_mapping_is_an_invalid_row(tmp_path: Path) -> None:
    (row,) = opened(tmp_path, "rows = [('a@x.test',)]").rows()
    assert row.defect == "tuple, not a mapping"


BAD = {
    "no such name": ("people = []", "there is no rows in it", None),
    "syntax": ("x = 1\ndef rows(:\n", "the file cannot be run: SyntaxError", 2),
    "raises": ("x = 1\n1 / 0\n", "the file cannot be run: ZeroDivisionError", 2),
    "exits": ("raise SystemExit('sent')", "the file cannot be run: SystemExit: sent", 1),
    "no rows": ("def rows():\n    return 5", "rows gives int, not rows", None),
    "a text": ("rows = 'a@x.test'", "rows gives str, not rows", None),
    "wants arguments": ("def rows(database): ...", "missing 1 required positional argument", None),
    "fails later": (
        "def rows():\n    yield {'email': 'a@x.test'}\n    raise ConnectionError('away')\n",
        "rows fails: ConnectionError: away",
        3,
    ),
    "fails asynchronously": (
        "async def rows():\n    yield {'email': 'a@x.test'}\n    raise ConnectionError('away')\n",
        "rows fails: ConnectionError: away",
        3,
    ),
    "is cancelled": (
        "import asyncio\ndef rows():\n    yield {'email': 'a@x.test'}\n    raise asyncio.CancelledError('away')\n",
        "rows fails: CancelledError: away",
        4,
    ),
    "is cancelled asynchronously": (
        "import asyncio\nasync def rows():\n    yield {'email': 'a@x.test'}\n"
        "    raise asyncio.CancelledError('away')\n",
        "rows fails: CancelledError: away",
        4,
    ),
    "exits asynchronously": (
        "async def rows():\n    yield {'email': 'a@x.test'}\n    raise SystemExit('away')\n",
        "rows fails: SystemExit: away",
        3,
    ),
    "fails elsewhere": ("import json\ndef rows():\n    yield json.loads('{')\n", "JSONDecodeError", 3),
}


@pytest.mark.parametrize(("text", "what", "line"), BAD.values(), ids=BAD)
def test_what_fails_is_named_with_file_and_line(text: str, what: str, line: int | None, tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        list(opened(tmp_path, text).rows())
    error = caught.value
    assert (error.code, error.safe) == ("E213", "Nothing was accepted and nothing was sent.")
    assert what in error.message
    path = str(tmp_path / "campaign.py")
    assert error.where == (path if line is None else f"{path}:{line}")


def test_a_missing_file_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read") as caught:
        open_source("campaign.py:rows", base=tmp_path)
    assert caught.value.code == "E201"


def test_whoever_leaves_before_the_end_ends_it(tmp_path: Path) -> None:
    text = (
        "async def rows():\n    try:\n        while True:\n            yield {'email': 'a@x.test'}\n"
        "    finally:\n        open('closed', 'w').close()\n"
    ).replace("'closed'", repr(str(tmp_path / "closed")))
    rows = iter(opened(tmp_path, text).rows())
    next(rows)
    rows.close()  # type: ignore[attr-defined]  # a generator
    assert (tmp_path / "closed").exists()
    assert "mailer-recipients" not in {thread.name for thread in threading.enumerate()}

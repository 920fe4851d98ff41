"""Lists of recipients: what is read, what is refused and where. The numbers are those of the bad-input corpus."""

import csv
import hashlib
import io
import json
import os
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.backends.sources.csv_file import CsvFile
from mailer.backends.sources.json_lines import JsonLines
from mailer.backends.sources.lines import MAX_ROW, Lines
from mailer.backends.sources.opening import Format, open_source
from mailer.interfaces.source import RecipientSource, Row
from mailer.vocabulary.errors import MailerError, SourceError, UsageError
from tests.thorough import thorough

Opened = Callable[..., RecipientSource]


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    """Write a list and open it."""

    def open_(content: str | bytes, name: str = "list.csv", **options: str | tuple[str, ...]) -> RecipientSource:
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return open_source(name, base=tmp_path, **options)  # type: ignore[arg-type]

    return open_


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], None]]:
    """Pipe bytes into standard input."""
    ends: list[int] = []

    def pipe(content: bytes) -> None:
        read, write = os.pipe()
        os.write(write, content)
        os.close(write)
        stdin = open(read, encoding="utf-8", closefd=False)  # noqa: SIM115 - closed with the pipe
        monkeypatch.setattr("sys.stdin", stdin)
        ends.append(read)

    yield pipe
    for end in ends:
        os.close(end)


class _Memory:
    """Content without a file."""

    name = "memory"
    sha256 = None
    is_repeatable = True

    def __init__(self, content: bytes) -> None:
        self._content = content

    @contextmanager
    def lines(self) -> Iterator[Lines]:
        yield Lines(io.BufferedReader(io.BytesIO(self._content)), self.name)


def refusal_of(action: Callable[[], object]) -> MailerError:
    with pytest.raises(MailerError) as refusal:
        action()
    return refusal.value


def read_all(source: RecipientSource) -> list[Row]:
    return list(source.rows())


READ = {
    "plain": "email,name\na@b.test,Ann\n",
    "no last line end": "email,name\na@b.test,Ann",
    "121 byte order mark": "\ufeffemail,name\na@b.test,Ann\n",
    "123 semicolon": "email;name\na@b.test;Ann\n",
    "tab": "email\tname\na@b.test\tAnn\n",
    "bar": "email|name\na@b.test|Ann\n",
    "131 CR only": "email,name\ra@b.test,Ann\r",
    "CRLF": "email,name\r\na@b.test,Ann\r\n",
    "quoted": '"email","name"\n"a@b.test","Ann"\n',
    "quoted, semicolon": '"email";"name"\n"a@b.test";"Ann"\n',
    "spaces around names": " email ,\tname\na@b.test,Ann\n",
    "blank lines": "\n\nemail,name\n\na@b.test,Ann\n   \n\n",
}


@pytest.mark.parametrize("content", READ.values(), ids=READ)
def test_a_csv_file_is_read_however_it_was_saved(content: str, opened: Opened) -> None:
    source = opened(content, needed=("email", "name"))
    assert source.columns == ("email", "name")
    assert [row.columns for row in source.rows()] == [{"email": "a@b.test", "name": "Ann"}]


def test_a_quoted_cell_keeps_its_line_ends_and_rows_know_their_line(opened: Opened) -> None:
    rows = read_all(opened('email,note\r\na@b.test,"one\r\ntwo, ""three"""\r\n\r\nc@d.test,x\r\n'))
    assert [(row.number, row.line) for row in rows] == [(1, 2), (2, 5)]
    assert rows[0].columns["note"] == 'one\r\ntwo, "three"'


def test_names_that_were_trimmed_are_told(opened: Opened) -> None:
    source = opened(" email,name\na@b.test,Ann\n")
    assert isinstance(source, CsvFile)
    assert source.trimmed == (" email",)


def test_columns_without_a_name_are_left_out(opened: Opened) -> None:
    source = opened(",email,name,,\n0,a@b.test,Ann,,\n")
    assert source.columns == ("email", "name")
    assert [row.columns for row in source.rows()] == [{"email": "a@b.test", "name": "Ann"}]


@pytest.mark.parametrize(
    ("line", "defect"),
    [("a@b.test", "1 cell under 2 columns"), ("a@b.test,Ann,x", "3 cells under 2 columns"), ('"",', None)],
)
def test_128_a_row_with_too_few_or_too_many_cells_has_a_defect(line: str, defect: str | None, opened: Opened) -> None:
    rows = read_all(opened(f"email,name\n{line}\nc@d.test,Cy\n"))
    assert [row.number for row in rows] == [1, 2]
    assert rows[0].defect == defect
    assert bool(rows[0].columns) is (defect is None)
    assert rows[1].columns == {"email": "c@d.test", "name": "Cy"}


DELIMITERS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "one column": ("email", (), ("email",)),
    "one column by another name": ("E-Mail", (), ("E-Mail",)),
    "commas in a name": ('"name, first";email', (), ("name, first", "email")),
    "only one has all that is needed": ("email,a;b", ("email", "a;b"), ("email", "a;b")),
    "needed ones decide": ("email;x,mail", ("email", "x,mail"), ("email", "x,mail")),
    "another email column": ("Adresse|Name", ("Adresse",), ("Adresse", "Name")),
    "a quote inside a name": ('email,5" pipe', (), ("email", '5" pipe')),
}


@pytest.mark.parametrize(("header", "needed", "columns"), DELIMITERS.values(), ids=DELIMITERS)
def test_the_delimiter_is_the_one_under_which_the_header_has_what_is_needed(
    header: str, needed: tuple[str, ...], columns: tuple[str, ...], opened: Opened
) -> None:
    assert opened(f"{header}\n", needed=needed).columns == columns


def test_data_never_decides_the_delimiter(opened: Opened) -> None:
    rows = read_all(opened("email\na@b.test;Ann\nc@d.test;Cy\n"))
    assert [row.columns for row in rows] == [{"email": "a@b.test;Ann"}, {"email": "c@d.test;Cy"}]


@pytest.mark.parametrize("given_as", ["\t", "\\t", "tab", "TAB"])
def test_a_given_delimiter_is_taken(given_as: str, opened: Opened) -> None:
    assert opened("email\tx,mail\n", delimiter=given_as).columns == ("email", "x,mail")
    assert opened("email:name\n", delimiter=":").columns == ("email", "name")


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n", "x", "\0"])
def test_a_delimiter_that_cannot_be_one_is_a_usage_error(delimiter: str, opened: Opened) -> None:
    with pytest.raises(UsageError):
        opened("email\n", delimiter=delimiter)


BAD_HEADERS: dict[str, tuple[str, dict[str, str | tuple[str, ...]], str, str]] = {
    "123 ambiguous": ("email,x;mail", {}, "E202", 'may be separated by "," or by ";"'),
    "123 wrong one given": (
        "email;name",
        {"delimiter": ",", "needed": ("email", "name")},
        "E202",
        'has one column "email;name" – is it separated by ";"?',
    ),
    "123 an unusual one": ("email:name", {}, "E202", 'has one column "email:name" – is it separated by ":"?'),
    "126 twice": ("email,name,name", {}, "E209", "two columns 'name'"),
    "126 twice after trimming": ("email, name,name", {}, "E209", "two columns 'name'"),
    "127 no address": ("Name;Adresse", {}, "E203", "no column 'email'"),
    "127 no address, alone": ("Adresse", {}, "E203", "no column 'email'"),
    "127 another one": ("email,name", {"needed": ("email", "company")}, "E203", "no column 'company'"),
    "130 empty": ("", {}, "E207", "no recipients"),
    "130 blank": ("\ufeff\r\n  \r\n", {}, "E207", "no recipients"),
    "124 open quote": ('"email,name\na@b.test,Ann\n', {}, "E204", "line 1: a quote opens here and is never closed"),
    "124 broken quote": ('"email"x,name\n', {}, "E204", "line 1: a broken quote"),
    "124 broken quote, delimiter given": ('"email"x;name\n', {"delimiter": ";"}, "E204", "line 1: a broken quote"),
    "125 NUL": ("em\0ail\n", {}, "E204", "line 1: a NUL character at character 3"),
}


@pytest.mark.parametrize(("content", "options", "code", "message"), BAD_HEADERS.values(), ids=BAD_HEADERS)
def test_a_header_that_cannot_be_used_is_refused_before_anything_is_read(
    content: str, options: dict[str, str | tuple[str, ...]], code: str, message: str, opened: Opened
) -> None:
    refusal = refusal_of(lambda: opened(content, **options))
    assert (refusal.code, message in refusal.message) == (code, True), refusal.message
    assert refusal.message.startswith("list.csv ")


def test_127_a_missing_column_is_told_with_the_columns_there_are(opened: Opened) -> None:
    assert refusal_of(lambda: opened("Name; Adresse\n")).why == "columns: Name, Adresse"


def test_the_hint_for_an_uncertain_delimiter_can_be_pasted(opened: Opened) -> None:
    assert refusal_of(lambda: opened("email;name\n", delimiter=",")).hint == '--delimiter ";"'


@pytest.mark.parametrize("content", ["email,name\n", "email,name", "\ufeffemail,name\r\n\r\n   \r\n"])
def test_129_a_header_alone_is_no_list(content: str, opened: Opened) -> None:
    source = opened(content)
    assert refusal_of(lambda: next(source.rows())).code == "E207"


BROKEN: dict[str, tuple[bytes, int, str]] = {
    "124 never closed": (b'a@b.test,x\n"c@d.test,y\ne@f.test,z\n', 3, "a quote opens here and is never closed"),
    "124 closed in a later row": (b'a@b.test,"x\nc@d.test,"y"\n', 2, "a quote opens here and is not closed properly"),
    "124 text after a quote": (b'a@b.test,x\nc@d.test,"y"z\n', 3, "a broken quote"),
    "125 NUL": (b"a@b.test,x\n\nc@d.test,y\0\n", 4, "a NUL character at character 11"),
    "not UTF-8": (b"a@b.test,x\nc@d.test,M\xfcller\n", 3, "not UTF-8 at character 11 (byte 0xfc)"),
    "not UTF-8, a surrogate": (b"a@b.test,\xed\xa0\x80\n", 2, "not UTF-8 at character 10 (byte 0xed)"),
    "not UTF-8, cut off": (b"a@b.test,\xc3", 2, "not UTF-8 at character 10 (byte 0xc3)"),
    "not UTF-8 in a quoted cell": (b'a@b.test,"x\n\xff"\n', 3, "not UTF-8 at character 1 (byte 0xff)"),
    "132 field": (b"a@b.test," + b"x" * 1_500_000 + b"\n", 2, "a cell of more than 1000000 characters"),
    "132 field of many lines": (b'a@b.test,"' + b"x\n" * 1_000_000, 2, "a cell of more than 1000000 characters"),
    "132 row": (b"," * 10_000_000, 2, "a row of more than 2000000 characters"),
}


@pytest.mark.parametrize(("content", "line", "what"), BROKEN.values(), ids=BROKEN)
def test_damage_stops_the_reading_and_names_its_line(content: bytes, line: int, what: str, opened: Opened) -> None:
    source = opened(b"email,name\n" + content)
    refusal = refusal_of(lambda: read_all(source))
    assert refusal.code == "E204"
    assert refusal.message.startswith(f"list.csv line {line}: {what}")
    assert refusal.where == f"list.csv:{line}"


def test_rows_before_the_damage_are_read(opened: Opened) -> None:
    rows = opened(b"email\na@b.test\nc@d.test\n\xff\n").rows()
    assert [next(rows).number, next(rows).number] == [1, 2]
    assert refusal_of(lambda: next(rows)).code == "E204"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", ["list.csv", "list.jsonl"])
def test_122_utf_16_is_called_by_its_name(encoding: str, name: str, opened: Opened) -> None:
    refusal = refusal_of(lambda: read_all(opened('{"email": "a@b.test"}\n'.encode(encoding), name)))
    assert refusal.code == "E204"
    assert f"the file is {encoding[:6].upper()}" in refusal.message


_CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


# With other line ends than CRLF, older csv modules leave a CR or LF in a cell without quotes.
_WAYS = [("\r\n", csv.QUOTE_MINIMAL), ("\r\n", csv.QUOTE_ALL), ("\n", csv.QUOTE_ALL), ("\r", csv.QUOTE_ALL)]


@given(st.lists(st.tuples(_CELLS, _CELLS), min_size=1, max_size=20), st.sampled_from(",;\t|"), st.sampled_from(_WAYS))
@settings(deadline=None)
def test_what_the_csv_module_writes_is_read_back(
    rows: list[tuple[str, str]], delimiter: str, way: tuple[str, Literal[0, 1]]
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=way[0], quoting=way[1])
    writer.writerow(("email", "name"))
    writer.writerows(rows)
    source = CsvFile(_Memory(text.getvalue().encode()), needed=("email", "name"))
    assert [row.columns for row in source.rows()] == [{"email": email, "name": name} for email, name in rows]


@given(st.binary(max_size=200), st.booleans())
@settings(deadline=None)
def test_any_bytes_are_read_or_refused_in_words(content: bytes, as_json: bool) -> None:
    memory = _Memory(content if as_json else b"email,name\n" + content)
    try:
        source: RecipientSource = JsonLines(memory) if as_json else CsvFile(memory)
        rows = read_all(source)
    except SourceError as error:
        assert error.code in ("E204", "E207")  # noqa: PT017 - both ways are good
    else:
        assert [row.number for row in rows] == list(range(1, len(rows) + 1))
        assert all(isinstance(key, str) for row in rows for key in row.columns)


JSON_ROWS: list[dict[str, object]] = [
    {"email": "a@b.test", "items": [{"name": "Äpfel", "price": 1.5}], "vip": True, "note": None},
    {"email": "c@d.test", "text": "one\ntwo\u2028three", "big": 10**30},
]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n \n"])
@pytest.mark.parametrize("name", ["people.jsonl", "people.ndjson", "PEOPLE.JSONL"])
def test_json_lines_keep_nested_values(end: str, name: str, opened: Opened) -> None:
    source = opened("\ufeff" + end.join(json.dumps(row, ensure_ascii=False) for row in JSON_ROWS), name)
    assert source.columns is None
    assert [(row.number, row.columns) for row in source.rows()] == list(enumerate(JSON_ROWS, 1))


BROKEN_JSON: dict[str, tuple[bytes, str]] = {
    "a list": (b"[1]", "a list, not a JSON object"),
    "a string": (b'"x"', "a string, not a JSON object"),
    "a number": (b"1.5", "a number, not a JSON object"),
    "a boolean": (b"true", "true or false, not a JSON object"),
    "null": (b"null", "null, not a JSON object"),
    "CSV": (b"email,name", "not a JSON object: "),
    "cut off": (b'{"email": "a@b', "not a JSON object: "),
    "two on a line": (b"{}{}", "not a JSON object: trailing characters"),
    "a key that is no string": (b'{1: "x"}', "not a JSON object: "),
    "not a number": (b'{"x": NaN}', "not a JSON object: "),
    "too large a number": (b'{"x": 1e999}', "not a JSON object: "),
    "a lone surrogate": (b'{"x": "\\ud800"}', "not a JSON object: "),
    "another lone surrogate": (b'{"x": "\\udc00 "}', "not a JSON object: "),
    "deep": (b'{"x": ' + b"[" * 100_000, "more than 100 lists and objects inside each other"),
    "deep, complete": (b'{"x": ' + b"[" * 100 + b"]" * 100 + b"}", "more than 100 lists and objects inside each other"),
    "NUL": (b'{"x": "\0"}', "a NUL character at character 8"),
    "not UTF-8": (b'{"x": "\xff"}', "not UTF-8 at character 8 (byte 0xff)"),
    "long": (b'{"x": "' + b"x" * MAX_ROW, "a row of more than 2000000 characters"),
}


@pytest.mark.parametrize(("content", "what"), BROKEN_JSON.values(), ids=BROKEN_JSON)
def test_a_line_that_is_no_object_is_damage_and_named(content: bytes, what: str, opened: Opened) -> None:
    source = opened(b'{"email": "a@b.test"}\n\n' + content + b"\n", "people.jsonl")
    refusal = refusal_of(lambda: read_all(source))
    assert refusal.code == "E204"
    assert refusal.message.startswith(f"people.jsonl line 3: {what}")


def test_json_may_be_nested_as_deep_as_anybody_needs(opened: Opened) -> None:
    deep, wide = "[" * 99 + "]" * 99, f"[{', '.join(['[]'] * 1_000)}]"
    assert len(read_all(opened(f'{{"x": {deep}, "y": {wide}}}\n', "people.jsonl"))) == 1


def test_json_lines_without_a_line_are_no_list(opened: Opened) -> None:
    assert refusal_of(lambda: read_all(opened("\n", "people.jsonl"))).code == "E207"


@pytest.mark.parametrize(
    ("name", "format_", "content"),
    [
        ("list.csv", None, "email\na@b.test\n"),
        ("list.TSV", None, "email\tname\na@b.test\tAnn\n"),
        ("list.txt", "csv", "email\na@b.test\n"),
        ("list.csv", "jsonl", '{"email": "a@b.test"}\n'),
    ],
)
def test_the_suffix_tells_the_format_unless_it_is_given(
    name: str, format_: Format | None, content: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    source = open_source(Path(name), base=tmp_path, format=format_)
    assert source.name == name
    assert next(source.rows()).columns["email"] == "a@b.test"


def test_an_unknown_format_is_refused_with_the_flag_that_tells_it(opened: Opened) -> None:
    refusal = refusal_of(lambda: opened("email\na@b.test\n", "list.txt"))
    assert refusal.code == "E201"
    assert "--recipients-format" in str(refusal.hint)


@pytest.mark.parametrize("name", ["folder", "pipe", "device", "loop", "missing", "a\0", "x" * 5_000], ids=ascii)
def test_what_is_no_regular_file_is_refused_without_being_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    refusal = refusal_of(lambda: open_source(name, base=tmp_path, format="csv"))
    assert refusal.code == "E201"
    assert refusal.why


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, opened: Opened) -> None:
    opened("email\na@b.test\n")
    (tmp_path / "list.csv").chmod(0)
    assert refusal_of(lambda: open_source("list.csv", base=tmp_path)).why == "Permission denied"


def test_the_hash_is_that_of_the_bytes(opened: Opened) -> None:
    content = "\ufeffemail\r\na@b.test\r\n"
    assert opened(content).content_hash == hashlib.sha256(content.encode()).hexdigest()


def test_a_file_can_be_read_again(opened: Opened) -> None:
    source = opened("email\na@b.test\n")
    assert read_all(source) == read_all(source)


def _append(path: Path) -> None:
    with path.open("a") as file:
        file.write("late@b.test\n")


def _rewrite(path: Path) -> None:
    found = path.stat()
    path.write_bytes(path.read_bytes().replace(b"user1@", b"USER1@"))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + 1))


def _replace(path: Path) -> None:
    found = path.stat()
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    os.utime(copy, ns=(found.st_atime_ns, found.st_mtime_ns))
    copy.replace(path)


def _truncate(path: Path) -> None:
    os.truncate(path, 150_000)


_MANY = "email\n" + "".join(f"user{number}@b.test\n" for number in range(20_000))


@pytest.mark.parametrize("change", [_append, _rewrite, _replace, _truncate])
def test_84_a_file_that_changed_after_its_hash_is_not_read(
    change: Callable[[Path], None], tmp_path: Path, opened: Opened
) -> None:
    source = opened(_MANY)
    assert source.content_hash
    change(tmp_path / "list.csv")
    assert refusal_of(lambda: next(source.rows())).message == "list.csv changed while it was read"


@pytest.mark.parametrize("change", [_append, _rewrite, _truncate])
def test_84_a_file_that_changes_while_it_is_read_is_not_taken_for_complete(
    change: Callable[[Path], None], tmp_path: Path, opened: Opened
) -> None:
    rows = opened(_MANY).rows()
    assert next(rows).number == 1
    change(tmp_path / "list.csv")
    assert refusal_of(lambda: list(rows)).message == "list.csv changed while it was read"


def test_a_half_written_row_of_a_changing_file_is_no_damage(tmp_path: Path, opened: Opened) -> None:
    rows = opened(_MANY.replace("user15000@", '"user15000"@')).rows()
    assert next(rows).number == 1
    _truncate(tmp_path / "list.csv")
    with (tmp_path / "list.csv").open("a") as file:
        file.write('\n"half')
    assert refusal_of(lambda: list(rows)).code == "E201"


def test_stdin_is_csv_and_has_no_hash(piped: Callable[[bytes], None], tmp_path: Path) -> None:
    piped(b'\xef\xbb\xbfemail;"na\nme"\r\na@b.test;Ann\r\nc@d.test;Cy\r\n')
    source = open_source("-", base=tmp_path)
    assert (source.name, source.content_hash, source.columns) == ("stdin", None, ("email", "na\nme"))
    assert [(row.line, row.columns["na\nme"]) for row in source.rows()] == [(3, "Ann"), (4, "Cy")]


def test_stdin_can_be_json_lines(piped: Callable[[bytes], None], tmp_path: Path) -> None:
    piped(b'{"email": "a@b.test"}\n')
    assert len(read_all(open_source("-", base=tmp_path, format="jsonl"))) == 1


@pytest.mark.parametrize("format_", ["csv", "jsonl"])
def test_stdin_can_be_read_only_once(format_: Format, piped: Callable[[bytes], None], tmp_path: Path) -> None:
    piped(b"email\na@b.test\n" if format_ == "csv" else b'{"email": "a@b.test"}\n')
    source = open_source("-", base=tmp_path, format=format_)
    assert len(read_all(source)) == 1
    assert refusal_of(lambda: read_all(source)).message == "stdin can be read only once"


def test_84_stdin_that_ends_inside_a_quoted_cell_is_damage(piped: Callable[[bytes], None], tmp_path: Path) -> None:
    piped(b'email,name\na@b.test,Ann\nc@d.test,"Cy')
    refusal = refusal_of(lambda: read_all(open_source("-", base=tmp_path)))
    assert refusal.message == "stdin line 3: a quote opens here and is never closed"


def test_reading_leaves_stdin_open(piped: Callable[[bytes], None], tmp_path: Path) -> None:
    piped(b"email\na@b.test\n")
    read_all(open_source("-", base=tmp_path))
    assert os.fstat(sys.stdin.fileno())


def test_a_program_without_stdin_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert refusal_of(lambda: open_source("-", base=tmp_path)).message == "stdin cannot be read"


def _peak_of(action: Callable[[], object]) -> int:
    """Bytes of memory an action needs at its worst."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["list.csv", "list.jsonl"])
def test_reading_a_long_list_needs_no_more_memory_than_a_short_one(name: str, opened: Opened) -> None:
    line = '{"email": "ann@example.org"}\n' if name == "list.jsonl" else "email,ann@example.org\n"
    source = opened(line * 20_000, name)
    assert _peak_of(lambda: sum(1 for _ in source.rows())) < 500_000


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["list.csv", "list.jsonl"])
@pytest.mark.parametrize("beginning", [b'email\n"', *thorough(b"", b"email\n")])
def test_27_a_line_of_100_mb_is_refused_in_bounded_memory(name: str, beginning: bytes, tmp_path: Path) -> None:
    with (tmp_path / name).open("wb") as file:
        file.write(beginning)
        for _ in range(100):
            file.write(b"x" * 1_000_000)

    def refused() -> None:
        assert refusal_of(lambda: read_all(open_source(name, base=tmp_path))).code == "E204"

    assert _peak_of(refused) < 20_000_000


@pytest.mark.thorough
def test_27_a_million_columns_are_refused_in_bounded_memory(opened: Opened) -> None:
    content = ",".join(f"column{number}" for number in range(1_000_000))
    assert _peak_of(lambda: refusal_of(lambda: opened(content))) < 50_000_000


def test_118_a_sparse_file_of_10_gb_is_refused_at_its_beginning(tmp_path: Path) -> None:
    with (tmp_path / "list.csv").open("wb") as file:
        file.write(b"email\n")
        file.truncate(10 * 2**30)
    refusal = refusal_of(lambda: read_all(open_source("list.csv", base=tmp_path)))
    assert refusal.message.startswith("list.csv line 2: a row of more than")

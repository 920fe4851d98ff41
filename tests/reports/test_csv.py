import csv
import io
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.reports.document import RECORD_KEYS
from mailer.reports.listing import Row
from tests.reports.writing import record_document, write_csv

from .samples import RECORDS, ROWS

FORMULAS = [
    "=cmd|'/c calc'!A1",
    "+1-1",
    "-2+3",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\0=1",
    "＝1",
    "＋1",
    "－1",
    "＠SUM(1)",
]
SIGNS = "=+-@\t\r\n\0＝＋－＠"


def cells(rows: Iterable[Row], *, raw: bool = False) -> list[list[str]]:
    stream = io.StringIO(newline="")
    write_csv(rows, stream, raw=raw)
    stream.seek(0)
    return list(csv.reader(stream))


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_spreadsheet_sees_text_where_a_server_wrote_a_formula(formula: str) -> None:
    row = replace(RECORDS[0], text=formula)

    assert cells([row])[1][RECORD_KEYS.index("text")] == f"'{formula}"
    assert cells([row], raw=True)[1][RECORD_KEYS.index("text")] == formula


@given(st.text(st.characters(codec="utf-8") | st.sampled_from(SIGNS + ",\"';")))
def test_a_cell_comes_back_as_it_was_and_never_begins_a_formula(text: str) -> None:
    row = replace(RECORDS[0], email=text, text=text, reason=text)
    written, raw = cells([row])[1], cells([row], raw=True)[1]

    for key in ("email", "text", "reason"):
        place = RECORD_KEYS.index(key)
        assert raw[place] == text
        assert written[place] == (f"'{text}" if text[:1] and text[0] in SIGNS else text)


def test_the_columns_are_the_keys_of_a_record_and_absent_values_are_empty() -> None:
    header, *lines = cells(ROWS)

    assert header == list(RECORD_KEYS)
    for row, line in zip(ROWS, lines, strict=True):
        assert line == ["" if value is None else str(value) for value in record_document(row).values()]


def test_lines_end_as_the_standard_wants_and_a_line_break_in_a_cell_stays_in_its_cell() -> None:
    stream = io.StringIO(newline="")
    write_csv([replace(RECORDS[0], text='two\r\nlines, "quoted"')], stream)

    header, rest = stream.getvalue().split("\r\n", 1)
    assert header == ",".join(RECORD_KEYS)
    assert '"two\r\nlines, ""quoted"""' in rest
    assert rest.endswith("\r\n")


def test_the_first_line_is_there_before_the_second_row_is_asked_for() -> None:
    stream = io.StringIO(newline="")
    seen = []

    def rows() -> Iterable[Row]:
        for row in RECORDS[:3]:
            seen.append(stream.getvalue().count("\r\n"))
            yield row

    write_csv(rows(), stream)

    assert seen == [1, 2, 3]

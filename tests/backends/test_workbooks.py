"""Lists in workbooks: Excel and OpenDocument give the same rows, and what cannot be read says so in bounded memory."""

import sys
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import pytest

from mailer.backends.sources.opening import open_source
from mailer.backends.sources.workbook import Workbook
from mailer.backends.sources.workbook_size import MAX_UNPACKED
from mailer.interfaces.source import Row
from mailer.vocabulary.errors import SourceError
from tests.backends.workbooks import Cell, Sheets, write_ods, write_xlsx

Write = Callable[[Path, Sheets], None]
FORMATS = pytest.mark.parametrize(
    ("name", "write"), [("p.xlsx", write_xlsx), ("P.ODS", write_ods)], ids=["xlsx", "ods"]
)


def refused(name: str, base: Path, needed: tuple[str, ...] = ("email",)) -> SourceError:
    with pytest.raises(SourceError) as caught:
        list(open_source(name, base=base, needed=needed).rows())
    return caught.value


@FORMATS
def test_the_first_sheet_is_read_with_the_types_of_its_cells(name: str, write: Write, tmp_path: Path) -> None:
    rows: list[list[Cell]] = [
        [None],
        ["E-Mail", "n", "share", "day", "at", "vip", None, "note"],
        ["a@x.test", 12, 1.5, date(2026, 1, 2), datetime(2026, 1, 2, 3, 4, 5), True, "nameless", None],
        [None, " "],
        ["b@x.test", -3.0],
    ]
    write(tmp_path / name, {"One": rows, "Two": [["email"], ["z@x.test"]]})
    source = open_source(name, base=tmp_path)
    assert source.columns == ("E-Mail", "n", "share", "day", "at", "vip", "note")
    first, second = source.rows()
    assert first == Row(
        1,
        {
            "E-Mail": "a@x.test",
            "n": 12,
            "share": 1.5,
            "day": "2026-01-02",
            "at": "2026-01-02T03:04:05",
            "vip": True,
            "note": "",
        },
        3,
    )
    assert isinstance(first.columns["n"], int)
    assert (second.number, second.line, second.columns["n"], second.columns["note"]) == (2, 5, -3, "")


@FORMATS
def test_a_sheet_is_chosen_by_its_name_and_is_a_list_of_its_own(name: str, write: Write, tmp_path: Path) -> None:
    write(tmp_path / name, {"One": [["email"], ["a@x.test"]], "Two & three": [["email"], ["z@x.test"]]})
    chosen = open_source(f"{name}#Two & three", base=tmp_path)
    assert chosen.name == f"{name}#Two & three"
    assert [row.columns for row in chosen.rows()] == [{"email": "z@x.test"}]
    hashes = {open_source(f"{name}{which}", base=tmp_path).content_hash for which in ("", "#One", "#Two & three")}
    assert len(hashes) == 3
    error = refused(f"{name}#Four", tmp_path)
    assert (error.code, error.hint) == ("E210", f"{name}#One   or {name}#Two & three")


@FORMATS
def test_a_workbook_can_be_read_again(name: str, write: Write, tmp_path: Path) -> None:
    write(tmp_path / name, {"One": [["email"], ["a@x.test"], ["b@x.test"]]})
    source = open_source(name, base=tmp_path)
    assert list(source.rows()) == list(source.rows())
    assert source.content_hash == open_source(name, base=tmp_path).content_hash


def test_names_that_were_trimmed_are_told(tmp_path: Path) -> None:
    write_xlsx(tmp_path / "p.xlsx", {"One": [["email", " first name "], ["a@x.test", "A"]]})
    source = open_source("p.xlsx", base=tmp_path)
    assert isinstance(source, Workbook)
    assert source.trimmed == (" first name ",)
    assert source.columns == ("email", "first name")


@pytest.mark.parametrize(
    ("rows", "code", "what"),
    [
        ([["name"], ["A"]], "E203", "no column 'email'"),
        ([["email", "n", "n"], ["a@x.test"]], "E209", "two columns 'n'"),
        ([["email"]], "E207", "no recipients"),
        ([[None]], "E207", "no recipients"),
    ],
)
def test_a_header_that_cannot_be_used_is_refused(
    rows: list[list[str | None]], code: str, what: str, tmp_path: Path
) -> None:
    write_xlsx(tmp_path / "p.xlsx", {"One": rows})
    error = refused("p.xlsx", tmp_path)
    assert (error.code, what in error.message) == (code, True)


@pytest.mark.parametrize("content", [b"", b"email\na@x.test\n", b"PK\3\4broken", b"\xd0\xcf\x11\xe0locked"])
@pytest.mark.parametrize("name", ["p.xlsx", "p.ods"])
def test_what_is_no_workbook_is_refused_with_the_way_out(content: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    error = refused(name, tmp_path)
    assert (error.code, error.hint) == ("E210", "save it as .xlsx without a password, or as CSV UTF-8")


def test_a_missing_workbook_is_a_missing_file(tmp_path: Path) -> None:
    assert refused("p.xlsx#One", tmp_path).code == "E201"


def test_a_workbook_that_changes_while_it_is_read_is_not_taken_for_complete(tmp_path: Path) -> None:
    write_xlsx(tmp_path / "p.xlsx", {"One": [["email"], ["a@x.test"], ["b@x.test"]]})
    rows = open_source("p.xlsx", base=tmp_path).rows()
    next(rows)
    (tmp_path / "p.xlsx").write_bytes(b"")
    with pytest.raises(SourceError, match="changed while it was read"):
        list(rows)


def test_without_the_extra_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_xlsx(tmp_path / "p.xlsx", {"One": [["email"], ["a@x.test"]]})
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    error = refused("p.xlsx", tmp_path)
    assert (error.code, error.hint) == ("E210", "pip install '.[tables]'")


def repack(path: Path, part: str, change: Callable[[str], str]) -> None:
    """Write a workbook again with one part changed."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts[part] = change(parts[part].decode()).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def test_27_two_cells_in_opposite_corners_are_refused_before_they_take_memory(tmp_path: Path) -> None:
    write_xlsx(tmp_path / "p.xlsx", {"One": [["email"]]})
    far = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    repack(tmp_path / "p.xlsx", "xl/worksheets/sheet1.xml", lambda xml: xml.replace("</sheetData>", far))
    assert "1048576 rows and 16384 columns" in refused("p.xlsx", tmp_path).message


FAR = '<row r="1000000"><c r="XFD1000000"><v>1</v></c></row></sheetData>'


def write_with_sheet_in(path: Path, part: str, change: Callable[[str], bytes]) -> None:
    """A workbook whose only sheet is in a part of another name, and changed."""
    write_xlsx(path, {"One": [["email"], ["a@x.test"]]})
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts[f"xl/worksheets/{part}"] = change(parts.pop("xl/worksheets/sheet1.xml").decode())
    related = "xl/_rels/workbook.xml.rels"
    parts[related] = parts[related].replace(b"sheet1.xml", part.encode())
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def without_declaration(xml: str) -> str:
    return xml.partition("?>")[2]


DISGUISES: dict[str, tuple[str, Callable[[str], bytes]]] = {
    "another ending": ("sheet1.dat", str.encode),
    "capitals": ("sheet1.XML", str.encode),
    "none": ("sheet1", str.encode),
    "a byte order mark": ("sheet1.dat", lambda xml: b"\xef\xbb\xbf" + xml.encode()),
    "blanks": ("sheet1.dat", lambda xml: b" " * 70_000 + without_declaration(xml).encode()),
    "words": ("sheet1.dat", lambda xml: b"words " + xml.encode()),
    "UTF-16": ("sheet1.dat", lambda xml: without_declaration(xml).encode("utf-16")),
    "words in UTF-16": ("sheet1.dat", lambda xml: ("words " + without_declaration(xml)).encode("utf-16-be")),
    "no such encoding": ("sheet1.dat", lambda xml: xml.replace("UTF-8", "no-such").encode()),
}


@pytest.mark.parametrize(("part", "change"), DISGUISES.values(), ids=DISGUISES)
def test_27_a_sheet_is_measured_whatever_its_part_is_called_and_begins_with(
    part: str, change: Callable[[str], bytes], tmp_path: Path
) -> None:
    write_with_sheet_in(tmp_path / "p.xlsx", part, lambda xml: change(xml.replace("</sheetData>", FAR)))
    error = refused("p.xlsx", tmp_path)
    assert error.code == "E210"
    assert "too large" in error.message or "cannot be read as a workbook" in error.message


def test_a_workbook_may_call_its_parts_as_it_likes_and_hold_what_is_no_xml(tmp_path: Path) -> None:
    write_with_sheet_in(tmp_path / "p.xlsx", "sheet1.dat", str.encode)
    with zipfile.ZipFile(tmp_path / "p.xlsx", "a") as archive:
        archive.writestr("xl/media/image1.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
        archive.writestr("xl/drawings/vmlDrawing1.vml", b"<xml><br></xml>")
        archive.writestr("docProps/", b"")
    assert [row.columns for row in open_source("p.xlsx", base=tmp_path).rows()] == [{"email": "a@x.test"}]


def test_a_binary_workbook_is_refused_under_its_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.xlsx", "w") as archive:
        archive.writestr("xl/workbook.bin", b"\x83\x01\0")
    error = refused("p.xlsx", tmp_path)
    assert (error.code, error.hint) == ("E210", "save it as .xlsx, or as CSV UTF-8")
    assert ".xlsb" in error.message


def test_a_panic_of_the_reader_is_an_error_of_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no `Exception`, and would end the program without a word of what to do."""
    write_xlsx(tmp_path / "p.xlsx", {"One": [["email"], ["a@x.test"]]})
    panic = type("PanicException", (BaseException,), {})

    def fail(stream: object) -> None:
        raise panic("capacity overflow")

    monkeypatch.setattr("mailer.backends.sources.workbook.refuse_large", fail)
    error = refused("p.xlsx", tmp_path)
    assert (error.code, "capacity overflow" in error.message) == ("E210", True)


def test_27_a_cell_that_is_repeated_a_million_times_is_refused(tmp_path: Path) -> None:
    write_ods(tmp_path / "p.ods", {"One": [["email"], ["a@x.test"]]})
    often = '<table:table-cell table:number-columns-repeated="9999999" office:value-type'
    repack(tmp_path / "p.ods", "content.xml", lambda xml: xml.replace("<table:table-cell office:value-type", often))
    assert "too large" in refused("p.ods", tmp_path).message


def test_rows_that_are_repeated_and_empty_cost_nothing(tmp_path: Path) -> None:
    write_ods(tmp_path / "p.ods", {"One": [["email"], ["a@x.test"]]})
    rest = (
        '<table:table-row table:number-rows-repeated="1048574"><table:table-cell '
        'table:number-columns-repeated="16384"/></table:table-row></table:table>'
    )
    repack(tmp_path / "p.ods", "content.xml", lambda xml: xml.replace("</table:table>", rest))
    assert len(list(open_source("p.ods", base=tmp_path).rows())) == 1


@pytest.mark.thorough
def test_27_a_zip_bomb_is_refused_by_what_it_would_unpack_to(tmp_path: Path) -> None:
    write_xlsx(tmp_path / "p.xlsx", {"One": [["email"]]})
    archive = zipfile.ZipFile(tmp_path / "p.xlsx", "a", zipfile.ZIP_DEFLATED)
    with archive, archive.open("xl/sharedStrings.xml", "w") as part:
        for _ in range(MAX_UNPACKED // 2**20 + 1):
            part.write(bytes(2**20))
    assert (tmp_path / "p.xlsx").stat().st_size < 2**20
    error = refused("p.xlsx", tmp_path)
    assert (error.code, "MB when unpacked" in error.message) == ("E210", True)

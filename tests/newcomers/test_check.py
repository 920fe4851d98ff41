"""`mailer check`: all that is wrong with a campaign at once, and a list of the rows to mend."""

import csv
import json
from pathlib import Path

import pytest

from tests.cli.running import ROOT
from tests.diagnosis.command_line import CommandLine

TEMPLATE = {
    "subject.txt.j2": "News for {{ first_name }}\n",
    "body.txt.j2": "Hello {{ first_name }},\n\n{{ 12 // number | int }} letters.\n",
    "body.html.j2": '<html lang="en"><title>News</title><p>Hello {{ first_name }}</p></html>\n',
}
GOOD = "ann@example.com,Ann,1\n"


@pytest.fixture
def campaign(place: Path) -> Path:
    """A campaign whose template fails where `number` is 0; the tests write its list."""
    folder = place / "templates" / "news"
    folder.mkdir(parents=True)
    for name, text in TEMPLATE.items():
        (folder / name).write_text(text)
    (place / "mailer.toml").write_text(
        '[campaign]\ntemplate = "news"\nsender = "news@acme.example"\nrecipients = "people.csv"\n'
    )
    write(place, GOOD)
    return place


def write(place: Path, rows: str) -> None:
    (place / "people.csv").write_text(f"email,first_name,number\n{rows}")


BAD = (
    f"{GOOD}two@@signs.example,Bob,1\nbob@example.com,Bob,0\nann@example.com,Ann,1\n"
    "eve@example.com\n=cmd@example.com,=1+1,0\nzoe@example.com,Zoë,1\n"
)


async def test_all_kinds_of_problems_are_told_at_once(mailer: CommandLine, campaign: Path) -> None:
    write(campaign, BAD)
    done = await mailer("check")
    assert done.code == 3
    lines = done.out.splitlines()
    assert lines[0] == "7 rows, 4 problems"
    kinds = [line.split("]")[0].split("[") for line in lines if line.startswith(("error", "warning"))]
    assert kinds == [["error", "E305"], ["error", "E211"], ["warning", "W210"]]
    assert "people.csv row 3 (bob@…): the template cannot work with this row" in done.out
    assert "templates/news/body.txt.j2:3" in done.out
    assert "The same problem in 1 other row." in done.out
    assert "row 5: 1 cell under 3 columns" in done.out
    assert "more: mailer explain E305" in done.out
    assert (
        done.err == "mailer check --fix-list bad.csv   writes these rows into a file, to be mended\nNothing was sent.\n"
    )


async def test_a_script_gets_one_document_whose_rows_add_up(mailer: CommandLine, campaign: Path) -> None:
    write(campaign, BAD)
    done = await mailer("check", "--json")
    assert (done.code, done.err) == (3, "")
    told = done.document
    counts = {name: told[name] for name in ("rows", "buildable", "unbuildable", "invalid", "duplicate")}
    assert counts == {"rows": 7, "buildable": 2, "unbuildable": 2, "invalid": 2, "duplicate": 1}
    assert (told["schema_version"], told["ok"], told["fix_list"]) == (1, False, None)
    assert [one["code"] for one in told["problems"]] == ["E305", "E211"]
    assert [one["code"] for one in told["warnings"]] == ["W210"]
    assert told["lint"] == []


async def test_duplicates_and_lint_alone_are_no_mistake(mailer: CommandLine, campaign: Path) -> None:
    write(campaign, f"{GOOD}{GOOD}zoe@example.com,Zoë,1\n")
    (campaign / "templates/news/body.html.j2").write_text('<p>Hello</p>\n<img src="http://acme.example/x.png">\n')
    done = await mailer("check")
    assert done.code == 0
    assert done.out.startswith("3 rows, no problems\nwarning[W210]: ")
    assert done.out.count("warning[W304]: ") == 4
    assert "warning[W304]: an image has no alt text (2 messages)\n  row 1, HTML part, line 2\n  fix: alt=" in done.out
    document = (await mailer("check", "--json")).document
    assert document["ok"] is True
    assert {(one["rule"], one["row"], one["line"], one["messages"]) for one in document["lint"]} == {
        ("no-lang", 1, None, 2),
        ("no-title", 1, None, 2),
        ("image-without-alt", 1, 2, 2),
        ("image-http", 1, 2, 2),
    }


async def test_what_only_one_row_has_is_found_in_that_row(mailer: CommandLine, campaign: Path) -> None:
    rows = "".join(f"p{number}@example.com,P{number},1\n" for number in range(1, 300))
    write(campaign, f"{rows}long@example.com,{'x' * 90},1\nbraces@example.com,{{{{ oops }}}},1\n")
    lint = (await mailer("check", "--json")).document["lint"]
    assert {(one["rule"], one["row"], one["messages"]) for one in lint} == {
        ("subject-long", 300, 1),
        ("braces-left", 301, 1),
    }


async def test_the_fix_list_has_the_rows_as_they_were_with_the_reasons(mailer: CommandLine, campaign: Path) -> None:
    write(campaign, BAD)
    done = await mailer("check", "--fix-list", "bad.csv")
    assert done.code == 3
    assert done.err.splitlines() == [
        "bad.csv has the rows that are left out, with the reasons.",
        "Mend it in a text editor: a spreadsheet would take some of its cells for formulas.",
        "Nothing was sent.",
    ]
    with (campaign / "bad.csv").open(newline="", encoding="utf-8") as stream:
        header, *rows = csv.reader(stream)
    assert header == ["row", "line", "reason", "email", "first_name", "number"]
    by_row = {int(row[0]): row[1:] for row in rows}
    assert sorted(by_row) == [2, 3, 4, 5, 6]
    assert by_row[2][0::2] == ["3", "two@@signs.example", "1"]
    assert "@" in by_row[2][1]
    assert by_row[3][2:] == ["bob@example.com", "Bob", "0"]
    assert by_row[4][1] == "came before"
    assert by_row[5] == ["6", "1 cell under 3 columns", "", "", ""]
    assert by_row[6][2:] == ["=cmd@example.com", "=1+1", "0"]


async def test_the_fix_list_once_mended_is_a_list_again(mailer: CommandLine, campaign: Path) -> None:
    (campaign / "people.csv").write_text("email,first_name,number,reason\nbob@example.com,Bob,0,birthday\n")
    assert (await mailer("check", "--fix-list", "bad.csv")).code == 3
    mended = campaign / "bad.csv"
    assert mended.read_text().startswith("row,line,reason_,email,")
    mended.write_text(mended.read_text().replace("Bob,0", "Bob,1"))
    done = await mailer("check", "--recipients", "bad.csv")
    assert (done.code, done.out) == (0, "1 row, no problems\n")


async def test_of_objects_the_fix_list_is_json_lines_and_mended_a_list_again(
    mailer: CommandLine, campaign: Path
) -> None:
    rows = [
        {"email": "ann@example.com", "number": 1, "tags": ["ü"]},
        {"email": "bob@example.com", "number": 1, "first_name": "Bob"},
        {"email": "eve@example.com", "number": 2, "_row": "mine"},
    ]
    (campaign / "people.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = await mailer("check", "--recipients", "people.jsonl")
    assert "mailer check --fix-list bad.jsonl " in done.err
    assert (await mailer("check", "--recipients", "people.jsonl", "--fix-list", "bad.jsonl")).code == 3
    written = (campaign / "bad.jsonl").read_text(encoding="utf-8")
    assert "ü" in written
    reason = "the template needs first_name"
    assert [json.loads(line) for line in written.splitlines()] == [
        {"_row": 1, "_reason": reason} | rows[0],
        {"_row_": 3, "_reason": reason} | rows[2],
    ]
    (campaign / "bad.jsonl").write_text(written.replace('"number"', '"first_name": "X", "number"'))
    done = await mailer("check", "--recipients", "bad.jsonl")
    assert (done.code, done.out) == (0, "2 rows, no problems\n")


async def test_a_fix_list_with_the_name_of_another_form_tells_how_it_is_read(
    mailer: CommandLine, campaign: Path
) -> None:
    (campaign / "people.jsonl").write_text('{"email": "ann@example.com", "number": 1}\n')
    done = await mailer("check", "--recipients", "people.jsonl", "--fix-list", "my bad.csv")
    command = "mailer check --recipients 'my bad.csv' --recipients-format jsonl"
    assert f"{command}   reads it\n" in done.err
    mended = campaign / "my bad.csv"
    mended.write_text(mended.read_text().replace("{", '{"first_name": "Ann", ', 1))
    done = await mailer("check", "--recipients", "my bad.csv", "--recipients-format", "jsonl")
    assert (done.code, done.out) == (0, "1 row, no problems\n")


async def test_cells_are_written_as_they_were_because_they_are_sent_again(mailer: CommandLine, campaign: Path) -> None:
    """A spreadsheet is warned of, and not served: its apostrophe would reach a recipient."""
    cells = ["+49 170 1", "'+49 170 1", "=1+1", "-5 °C", "@home", "\u200b", "＝x"]
    rows = "".join(f"ann@@example.com,{cell},1\n" for cell in cells)
    write(campaign, rows)
    done = await mailer("check", "--fix-list", "bad.csv")
    assert "Mend it in a text editor: a spreadsheet would take some of its cells for formulas.\n" in done.err
    with (campaign / "bad.csv").open(newline="", encoding="utf-8") as stream:
        assert [row["first_name"] for row in csv.DictReader(stream)] == cells
    write(campaign, "ann@@example.com,Ann,1\n")
    assert "text editor" not in (await mailer("check", "--fix-list", "bad.csv")).err


@pytest.mark.thorough
async def test_addresses_of_roles_and_domains_of_mixed_scripts_are_warned_of(
    mailer: CommandLine, campaign: Path
) -> None:
    many = "".join(f"info@x{number}.example,Info,1\n" for number in range(500))
    write(campaign, f"{GOOD}{many}a@аpple.com,Mallory,1\n")
    done = await mailer("check")
    assert (done.code, done.out.splitlines()[0]) == (0, "502 rows, no problems")
    assert (
        "warning[W212]: people.csv: 500 rows have the address of a role, not of a person\n  row 2  info@…\n" in done.out
    )
    assert done.out.count("info@…") == 5
    assert "warning[W213]: people.csv: 1 row has a domain that mixes Latin letters" in done.out
    assert "\n  row 502  …@xn--pple-43d.com (аpple.com)\n" in done.out
    assert [one["code"] for one in (await mailer("check", "--json")).document["warnings"]] == ["W212", "W213"]


async def test_a_copy_for_a_role_is_no_address_of_the_list(mailer: CommandLine, campaign: Path) -> None:
    text = (campaign / "mailer.toml").read_text()
    (campaign / "mailer.toml").write_text(f'{text}bcc = "info@acme.example"\n')
    assert "W212" not in (await mailer("check")).out


async def test_a_list_that_cannot_be_read_leaves_no_half_fix_list(mailer: CommandLine, campaign: Path) -> None:
    write(campaign, 'two@@signs.example,Bob,1\n"lost,quote,1\n')
    done = await mailer("check", "--fix-list", "bad.csv", "--json")
    assert (done.code, done.out) == (3, "")
    assert "E204" in done.err
    assert not (campaign / "bad.csv").exists()


async def test_neither_queue_nor_server_is_needed(
    mailer: CommandLine, campaign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILER_DATA_DIR", str(campaign / "state"))
    monkeypatch.setenv("MAILER_REDIS_URL", "redis://127.0.0.1:1/0")
    assert (await mailer("check")).out == "1 row, no problems\n"
    assert not (campaign / "state").exists()


async def test_the_shipped_invoice_is_checked_with_the_file_of_each_row(mailer: CommandLine, place: Path) -> None:
    (place / "mailer.toml").write_text(
        f'[campaign]\ntemplate = "{ROOT}/templates/invoice"\nsender = "billing@acme.example"\n'
        'recipients = "customers.csv"\nattachments = ["invoices/{{ number }}.pdf"]\n'
    )
    customers = ["ap@north.example,North & Sons,117,120.00 EUR,1 Dec", "office@south.example,South,118,80.50 EUR,1 Dec"]
    (place / "customers.csv").write_text("\n".join(["email,company,number,amount,due", *customers, ""]))
    (place / "invoices").mkdir()
    (place / "invoices" / "117.pdf").write_bytes(b"%PDF-1.7 the invoice")
    done = await mailer("check")
    assert (done.code, done.out.splitlines()[0]) == (3, "2 rows, 1 problem")
    assert "error[E309]: customers.csv row 2 (office@…)" in done.out
    (place / "invoices" / "118.pdf").write_bytes(b"%PDF-1.7 the other invoice")
    assert (await mailer("check")).out == "2 rows, no problems\n"

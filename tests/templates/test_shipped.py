"""The shipped templates: in order for mail clients and for readers of plain text, with the columns they name."""

import re
from pathlib import Path

import pytest

from mailer.policy.lint import lint
from mailer.policy.rendering import RowRenderError, Template, load_template
from mailer.policy.rendering.template import Rendered

TEMPLATES = Path(__file__).parents[2] / "templates"
LINES: list[dict[str, object]] = [
    {"description": "Oak table, 180 × 90 cm", "quantity": 1, "price": "640.00 EUR", "amount": "640.00 EUR"},
    {"description": "Oak chair", "quantity": 4, "price": "120.00 EUR", "amount": "480.00 EUR"},
    {"description": "Delivery", "amount": "0.00 EUR"},
]
INVOICE = {"company": "North & Sons", "number": "2026-117", "amount": "1,120.00 EUR", "due": "1 December 2026"}
ROWS: dict[str, tuple[str, dict[str, object]]] = {
    "newsletter": ("newsletter", {"first_name": "Zoë"}),
    "newsletter with a logo": ("newsletter", {"first_name": "Zoë", "logo": "https://acme.example/logo.png"}),
    "invoice": ("invoice", dict(INVOICE)),
    "invoice with lines": ("invoice", {**INVOICE, "lines": LINES}),
    "note": ("note", {"first_name": "Zoë"}),
}


def load(name: str, **settings: str) -> Template:
    return load_template(TEMPLATES / name, **settings)  # type: ignore[arg-type]  # the settings named are texts


def render(case: str) -> Rendered:
    name, row = ROWS[case]
    return load(name).render(row, row=1, where="people.csv")


def test_three_are_shipped() -> None:
    assert sorted(path.name for path in TEMPLATES.iterdir()) == ["invoice", "newsletter", "note"]


@pytest.mark.parametrize("case", ROWS)
def test_mail_clients_have_nothing_against_them(case: str) -> None:
    rendered = render(case)
    assert lint(rendered.subject, rendered.text, rendered.html, len((rendered.html or "").encode())) == []
    assert rendered.text


@pytest.mark.parametrize("case", [case for case in ROWS if case != "note"])
def test_html_has_what_clients_and_screen_readers_look_for(case: str) -> None:
    html = render(case).html or ""
    assert html.startswith("<!DOCTYPE html>")
    assert 'name="viewport"' in html
    assert 'name="color-scheme" content="light dark"' in html
    assert "@media (prefers-color-scheme: dark)" in html
    assert "max-width:600px" in html
    # Gmail takes away a style block of more than 8192 characters.
    assert len(html) < 8_000
    tables = re.findall(r"<table[^>]*>", html)
    # Only a table of data is one for screen readers.
    assert sum('role="presentation"' not in table for table in tables) == html.count("<thead>")
    assert html.count("<table") == html.count("</table>")


@pytest.mark.parametrize("case", ROWS)
def test_the_text_part_reads_like_a_letter(case: str) -> None:
    text = render(case).text or ""
    lines = text.split("\n")
    assert re.match(r"(Hello|Dear) \S", text)
    assert max(map(len, lines)) <= 78
    # The signature's separator ends in a space (RFC 3676 section 4.3); no other line does.
    assert [line for line in lines if line != line.rstrip()] in ([], ["-- "])
    assert "\n\n\n\n" not in text
    assert not re.search(r"<[a-z/]|&[a-z]+;", text)


def test_a_value_of_the_row_is_no_html() -> None:
    rendered = load("invoice").render({**INVOICE, "company": "<b>A & B"}, row=1, where="x")
    assert "&lt;b&gt;A &amp; B" in (rendered.html or "")
    assert "Dear <b>A & B," in (rendered.text or "")


@pytest.mark.parametrize("name", ["newsletter", "invoice", "note"])
def test_the_comment_at_the_top_names_every_column_it_needs(name: str) -> None:
    template = load(name)
    main = TEMPLATES / name / ("body.txt.j2" if name == "note" else "body.html.j2")
    source = main.read_text(encoding="utf-8")
    assert source.startswith("{#")
    comment = source.split("#}")[0]
    for column in template.variables:
        assert re.search(rf"\b{column}\b", comment), column
    for path in (TEMPLATES / name).iterdir():
        assert path.read_text(encoding="utf-8").startswith("{#"), path


def test_an_invoice_lists_its_lines_in_both_parts() -> None:
    rendered = render("invoice with lines")
    text, html = rendered.text or "", rendered.html or ""
    for line in LINES:
        assert str(line["description"]) in text
        assert str(line["description"]) in html
    assert "    4 × 120.00 EUR                                   480.00 EUR\n" in text
    assert "  Total                                            1,120.00 EUR\n" in text
    assert html.count('<th scope="col"') == 2
    assert "Total" not in (render("invoice").text or "")


@pytest.mark.parametrize("column", INVOICE)
def test_an_invoice_without_one_of_its_columns_is_not_made(column: str) -> None:
    with pytest.raises(RowRenderError, match=f"needs {column}"):
        load("invoice").render({name: value for name, value in INVOICE.items() if name != column}, row=1, where="x")


def test_a_newsletter_shows_how_to_unsubscribe_where_that_is_set() -> None:
    url = "https://acme.example/unsubscribe/{{ token }}"
    shown = load("newsletter", unsubscribe_url=url).render({"first_name": "Zoë", "token": "abc"}, row=1, where="x")
    for part in (shown.html, shown.text):
        assert (part or "").count("https://acme.example/unsubscribe/abc") == 1
        assert "nsubscribe" not in (render("newsletter").text or "")


def test_the_note_is_plain_text() -> None:
    assert render("note").html is None

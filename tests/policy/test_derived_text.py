"""The text part made of the HTML part: what the HTML shows, with the row's values, converted once for many rows."""

import timeit
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mailer.policy.plain_text import TextDeriver, _show_links
from mailer.vocabulary.errors import TemplateError
from tests.policy.composing import ANN, Desk, html_of, occasion, read, structure, text_of
from tests.thorough import first


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.write("subject.txt.j2", "News")
    return desk


def derive(desk: Desk, html: str, **columns: object) -> str:
    desk.write("body.html.j2", html)
    return text_of(read(desk.compose(columns)))


def test_a_folder_with_only_html_has_a_text_part(desk: Desk) -> None:
    """It says what the HTML says, headings, paragraphs, lists and all, and links show where they lead."""
    html = """<!DOCTYPE html><html lang="en"><head><title>News</title><style>p{margin:0}</style></head><body>
      <div style="display:none">preheader</div>
      <table role="presentation"><tr><td><h1>Hello {{ name }}</h1>
      <p>Read <a href="https://acme.example/?a=1&amp;b={{ id }}">the {{ what }}</a>,
         or write to <a href="mailto:news@acme.example">news@acme.example</a>.</p>
      <ul>{% for item in items %}<li>{{ item }}</li>{% endfor %}</ul></td></tr></table></body></html>"""

    desk.write("body.html.j2", html)
    form = desk.form()
    message = read(
        form.compose({"name": "Ann & Co", "id": 7, "what": "letter", "items": ["a", "<b>"]}, ANN, occasion())
    )

    assert (form.has_derived_text, form.lacks_text) == (True, False)
    assert structure(message) == ("multipart/alternative", ["text/plain", "text/html"])
    assert text_of(message) == (
        "Hello Ann & Co\n\n"
        "Read the letter (https://acme.example/?a=1&b=7), or write to news@acme.example.\n\n"
        "- a\n- <b>\n"
    )


def test_a_text_part_of_the_folder_is_left_alone(desk: Desk) -> None:
    """What somebody wrote is better than what is derived."""
    desk.write("body.txt.j2", "Written by hand")
    desk.write("body.html.j2", "<p>Hello</p>")
    form = desk.form()
    assert (form.has_derived_text, form.lacks_text) == (False, False)
    assert text_of(read(form.compose({}, ANN, occasion()))) == "Written by hand\n"


def test_a_text_only_folder_derives_nothing(desk: Desk) -> None:
    """There is nothing to derive from, and no HTML part appears."""
    desk.write("body.txt.j2", "Hello")
    form = desk.form()
    assert (form.has_derived_text, form.lacks_text) == (False, False)


plain = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=30)

HTML = """<h1>{{ a }}</h1>{% if b %}<p>for {{ b }}, <b>{{ b | upper }}</b></p>{% else %}<p>nobody</p>{% endif %}
{% macro row(x) %}<tr><td>{{ x }}</td><td>{{ loud(x) }}</td></tr>{% endmacro %}{% macro loud(x) %}{{ x }}!{% endmacro %}
<table>{% for item in items %}{{ row(item) }}{% endfor %}</table>
{% set note %}<i>{{ a }}</i>{% endset %}<p hidden="{{ b }}">{{ note }} {{ note | length }} {{ note | upper }}</p>
<a href="https://acme.example/{{ a | urlencode }}">{{ a }}</a> {{ a | length }} {{ a ~ note }}
{{ items | join(", ") }}"""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(plain, plain, st.lists(plain, max_size=3)), min_size=1, max_size=4))
@example([("x & y", "", []), ("q", "<b>", ["a"]), ("x & y", "", []), ("", " ", ["", " "]), ("q", "<b>", ["z"])])
@example([("0", "00", ["000", "0"]), ("0", "0", ["0", "0"])])
def test_what_is_derived_once_is_what_would_be_derived_anew(desk: Desk, rows: list[tuple[str, str, list[str]]]) -> None:
    """Conditions, loops, macros and values of any kind: a row's text is that of its own HTML."""
    desk.write("body.html.j2", HTML)
    form = desk.form()
    for a, b, items in rows:
        message = read(form.compose({"a": a, "b": b, "items": items}, ANN, occasion()))
        anew = TextDeriver().derive(html_of(message), {})
        assert text_of(message).split() == anew.split()


def test_a_branch_on_what_the_template_wrote_itself_is_right(desk: Desk) -> None:
    """Such a template cannot be rendered with tokens for values, so its text comes from the HTML of the row."""
    html = (
        "{% set who %}{{ name }}{% endset %}{% if who == 'Ann' %}<p>It is {{ name }}</p>{% else %}<p>No</p>{% endif %}"
    )
    assert derive(desk, html, name="Ann") == "It is Ann\n"
    assert derive(desk, html, name="Bob") == "No\n"


def test_a_value_that_hides_something_hides_it_in_the_text(desk: Desk) -> None:
    """Values in tags decide what is shown, and differ from row to row."""
    desk.write("body.html.j2", '<p style="display:{{ d }}">secret</p><p>{{ name }}</p>')
    form = desk.form()
    texts = [text_of(read(form.compose({"d": d, "name": d}, ANN, occasion()))) for d in ("none", "block", "none")]
    assert texts == ["none\n", "secret\n\nblock\n", "none\n"]


def test_markup_that_is_meant_is_converted(desk: Desk) -> None:
    """A value marked as safe is HTML, in the text part too."""
    assert derive(desk, "<p>{{ news | safe }}</p>", news="<b>bold</b> &amp; more") == "bold & more\n"


@pytest.mark.parametrize(
    "value", ["*a* _b_", "# a", "1. a", "- a", "<script>x</script>", "&amp;", "a  b\n c", "{{ 7*7 }}"]
)
def test_a_value_is_shown_as_it_is(desk: Desk, value: str) -> None:
    """Nothing in a value is taken for markup of any kind; blanks are one space, as HTML has it."""
    assert derive(desk, "<p>Hello {{ name }}!</p>", name=value) == f"Hello {' '.join(value.split())}!\n"


def test_html_that_breaks_the_converter_is_an_error_of_the_row(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the library raises becomes E305, with what to do about it."""

    def fail(self: object, html: str) -> str:
        raise TemplateError("E305", "the text part cannot be made from the HTML part")

    monkeypatch.setattr(TextDeriver, "_to_text", fail)
    desk.write("body.html.j2", "<p>{{ name }}</p>")
    with pytest.raises(TemplateError) as caught:
        desk.compose({"name": "Ann"})
    assert caught.value.code == "E305"
    assert caught.value.where == "templates/hello/body.html.j2"


def test_shapes_that_are_kept_are_bounded() -> None:
    """A template of endless shapes does not fill the memory."""
    deriver = TextDeriver()
    for number in range(500):
        assert deriver.derive(f"<p>{number}</p>", {}) == f"{number}\n"
    assert len(deriver._texts) <= 64


@pytest.mark.parametrize(
    "html",
    first(3, ['<a href="x">', "<a " + "href='' " * 2, "<a title='", "href='' ", '<a "', '<a " ="', "<a href=", "</a>"]),
)
def test_text_full_of_open_links_is_read_in_one_pass(html: str) -> None:
    """Whoever looks for links does not look at the same text again and again."""

    def seconds(times: int) -> float:
        return min(timeit.repeat(lambda: _show_links("<a " + html * times), number=1, repeat=3))

    assert seconds(20_000) < 50 * seconds(2_000) + 0.1


def test_a_value_in_an_attribute_adds_no_link(desk: Desk) -> None:
    """A quote that belongs to the value does not end the attribute, whichever the template uses."""
    for quote in ("'", '"'):
        html = f"<p><a title={quote}{{{{ x }}}}{quote} href='https://acme.example/'>here</a></p>"
        for evil in ("' href='https://evil.example/", '" href="https://evil.example/', " href=https://evil.example/ "):
            assert derive(desk, html, x=evil) == "here (https://acme.example/)\n"


def test_an_address_is_shown_as_it_is(desk: Desk) -> None:
    """Also where it looks like markup."""
    assert derive(desk, '<p><a href="https://acme.example/<b>">it</a></p>') == "it (https://acme.example/<b>)\n"


@pytest.mark.parametrize("sign", [">", "<", "'", "=", "a > b"])
def test_a_value_of_an_attribute_may_hold_anything(desk: Desk, sign: str) -> None:
    """It ends neither the tag nor the link, written by the template or put in by the row."""
    html = f'<p>Read <a title="{sign}" href="https://acme.example/?n={{{{ n }}}}" hidden="{{{{ x }}}}">it</a>.</p>'
    plain = html.replace(' hidden="{{ x }}"', "")
    assert derive(desk, plain, n=7, x=sign) == "Read it (https://acme.example/?n=7).\n"
    shown = '<p title="{{ x }}">Read <b title="' + sign + '">it</b>, {{ x }}</p>'
    assert derive(desk, shown, x=sign) == f"Read it, {sign}\n"

"""Rendering: rows in, parts out, and words that help when it does not work. Numbers are of the bad-input corpus."""

import os
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from html import unescape
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from mailer.policy.rendering import Rendered, RowRenderError, Template, load_template
from mailer.vocabulary.errors import TemplateError

NEWSLETTER = Path(__file__).parents[2] / "templates" / "newsletter"

Load = Callable[..., Template]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Write files below `templates/` and load `templates/hello`; a subject and a text body are there already."""
    monkeypatch.chdir(tmp_path)

    def write_and_load(files: Mapping[str, str | bytes] | None = None, **settings: object) -> Template:
        defaults: dict[str, str | bytes] = {"hello/subject.txt.j2": "News\n", "hello/body.txt.j2": "Hello"}
        for name, content in (defaults | dict(files or {})).items():
            path = tmp_path / "templates" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return load_template(Path("templates/hello"), **settings)  # type: ignore[arg-type]

    return write_and_load


def render(template: Template, **row: object) -> Rendered:
    return template.render(row, row=17, where="recipients.csv")


def text(load: Load, body: str, **row: object) -> str | None:
    return render(load({"hello/body.txt.j2": body}), **row).text


def test_a_row_makes_subject_and_bodies(load: Load) -> None:
    template = load(
        {
            "hello/subject.txt.j2": "News for {{ name }}\n",
            "hello/body.txt.j2": "Hello {{ name }},\nbye\n",
            "hello/body.html.j2": "<p>Hello {{ name }}</p>",
        }
    )

    assert render(template, name="Zoë & Co") == Rendered(
        subject="News for Zoë & Co",
        text="Hello Zoë & Co,\nbye",
        html="<p>Hello Zoë &amp; Co</p>",
        to=None,
        reply_to=None,
        headers=(),
        unsubscribe_url=None,
    )


def test_the_campaign_sets_headers_and_overrides_the_subject(load: Load) -> None:
    template = load(
        {"hello/body.txt.j2": "Bye: {{ unsubscribe_url }}"},
        subject="For {{ name }}",
        to="{{ name }} <{{ email }}>",
        reply_to="{{ owner }}@acme.example",
        headers={"X-Row": "{{ row }}", "List-Help": "<https://acme.example/{{ row }}>"},
        unsubscribe_url="https://acme.example/u/{{ token }}",
    )

    rendered = render(template, name="Zoë", email="z@b.test", owner="office", row=3, token="t0k3n")

    assert rendered == Rendered(
        subject="For Zoë",
        text="Bye: https://acme.example/u/t0k3n",
        html=None,
        to="Zoë <z@b.test>",
        reply_to="office@acme.example",
        headers=(("X-Row", "3"), ("List-Help", "<https://acme.example/3>")),
        unsubscribe_url="https://acme.example/u/t0k3n",
    )
    assert template.variables == {"name", "email", "owner", "row", "token"}


@pytest.mark.parametrize("ending", ["", ".j2"])
def test_parts_are_found_with_and_without_j2(tmp_path: Path, ending: str) -> None:
    for name in ("subject.txt", "body.html"):
        (tmp_path / f"{name}{ending}").write_text("<{{ name }}>")

    rendered = render(load_template(tmp_path), name="&")

    assert (rendered.subject, rendered.html) == ("<&>", "<&amp;>"), "only the HTML part is escaped"


# S22: by the part, and not by the file's name.
def test_what_the_html_part_includes_is_escaped_and_what_the_text_part_includes_is_not(load: Load) -> None:
    shared = {"shared/name.txt": "{{ name }}", "shared/name.mjml": "{% macro say(x) %}[{{ x }}]{% endmacro %}"}
    body = "{% import 'shared/name.mjml' as m %}{% include 'shared/name.txt' %}{{ m.say(name) }}"

    rendered = render(load({**shared, "hello/body.txt.j2": body, "hello/body.html.j2": body}), name="O'Brien & <b>")

    assert rendered.text == "O'Brien & <b>[O'Brien & <b>]"
    assert rendered.html == "O&#39;Brien &amp; &lt;b&gt;[O&#39;Brien &amp; &lt;b&gt;]"


@pytest.fixture(scope="module")
def greeting(tmp_path_factory: pytest.TempPathFactory) -> Template:
    folder = tmp_path_factory.mktemp("greeting")
    (folder / "subject.txt").write_text("x")
    (folder / "body.txt").write_text("{{ name }}")
    (folder / "body.html").write_text('<p title="{{ name }}">{{ name }}</p>')
    return load_template(folder)


@given(name=st.text())
def test_no_value_reaches_the_html_as_markup(greeting: Template, name: str) -> None:
    rendered = render(greeting, name=name)

    inside = re.fullmatch(r'<p title="(.*)">(.*)</p>', rendered.html or "", re.DOTALL)
    assert inside is not None
    assert not set(inside[1] + inside[2]) & set("<>\"'")
    assert unescape(inside[1]) == unescape(inside[2]) == rendered.text == name


# Corpus 104 and S20.
@pytest.mark.parametrize(
    "value", ["{{7*7}}", "{% include 'x' %}", "{{ ''.__class__ }}", "{#", "<script>alert(1)</script>"]
)
def test_a_value_is_never_a_template(load: Load, value: str) -> None:
    template = load({"hello/body.txt.j2": "{{ name }}"}, subject="{{ name }}", to="{{ name }} <a@b.test>")

    rendered = render(template, name=value)

    assert (rendered.subject, rendered.text, rendered.to) == (value, value, f"{value} <a@b.test>")


def test_columns_with_spaces_are_reachable_with_underscores(load: Load) -> None:
    template = load({"hello/body.txt.j2": "{{ first_name }} {{ last_name }}"})

    context = {"first name": "Jane", "last name": "Doe", "last_name": "Roe"}
    assert template.render(context, row=1, where="x").text == "Jane Roe", "a column's own name wins"


def test_a_line_end_inside_a_subject_is_left_for_the_header_to_refuse(load: Load) -> None:
    assert render(load(subject="Hello {{ name }}!"), name="x\r\nBcc: y").subject == "Hello x\r\nBcc: y!"


# Corpus 102.
def test_a_missing_column_is_shown_with_line_caret_and_the_nearest_name(load: Load) -> None:
    template = load({"hello/body.html.j2": "<html>\n\n  <p>Hello {{ first_name }},</p>\n</html>"})

    with pytest.raises(RowRenderError) as caught:
        render(template, email="jane@acme.example", firstname="Jane", company="Acme")

    error = caught.value
    assert (error.code, error.message) == ("E301", "the template needs first_name")
    assert error.where == (
        "templates/hello/body.html.j2:3   <p>Hello {{ first_name }},</p>\n"
        "                                             ^^^^^^^^^^"
    )
    assert error.why == "columns: email, firstname, company"
    assert error.hint == '{{ firstname }}, or {{ first_name | default("there") }}'
    assert (error.variable, error.template, error.line) == ("first_name", "templates/hello/body.html.j2", 3)
    assert error.source_line == "  <p>Hello {{ first_name }},</p>"
    assert (error.row, error.source) == (17, "recipients.csv")
    assert error.exit_code == 3


@pytest.mark.parametrize(
    ("line", "marked"),
    [
        ("name: {{ name }}", "      " + "   ^^^^"),
        ("{{ first_name }} {{ name }}", " " * 20 + "^^^^"),
        ("{{ you.name }}{% if name %}{% endif %}", " " * 20 + "^^^^"),
        ("{{ 'x' * 200 }} {{ name }}", " " * 19 + "^^^^"),
    ],
)
def test_the_caret_is_under_the_variable_and_not_under_another_word(load: Load, line: str, marked: str) -> None:
    with pytest.raises(RowRenderError) as caught:
        text(load, line, first_name="x", you={"name": "y"})
    shown, below = str(caught.value.where).split("\n")
    assert below[shown.index(line) :] == marked


def test_a_long_line_is_cut_around_the_variable(load: Load) -> None:
    with pytest.raises(RowRenderError) as caught:
        text(load, "x" * 500 + "{{ name }}" + "y" * 500)
    shown, below = str(caught.value.where).split("\n")
    assert shown[below.index("^") : below.rindex("^") + 1] == "name"
    assert len(shown) < 150


def test_a_name_like_no_other_gets_a_default_as_its_hint(load: Load) -> None:
    with pytest.raises(RowRenderError) as caught:
        text(load, "{{ salutation }}", email="x")
    assert caught.value.hint == '{{ salutation | default("there") }}'


@pytest.mark.parametrize(
    ("body", "variable", "line"),
    [
        ("{{ customer.city }}", "customer.city", 1),
        ("\n{% for item in items %}\n{{ item.prize }}{% endfor %}", "item.prize", 3),
        ("{% if vip %}x{% endif %}", "vip", 1),
        ("{{ name\n  }}\n{{ names }}", "names", 3),
        ("{{ customer['city'] }}", "city", 1),
        ("{{ nothing.at.all }}", "nothing", 1),
    ],
)
def test_the_missing_thing_is_named_wherever_it_is(load: Load, body: str, variable: str, line: int) -> None:
    with pytest.raises(RowRenderError) as caught:
        text(load, body, name="x", customer={"town": "y"}, items=[{"price": 1}])
    assert (caught.value.code, caught.value.variable, caught.value.line) == ("E301", variable, line)


def test_the_file_that_needs_it_is_named_also_when_included(load: Load) -> None:
    files = {
        "layout.j2": "<html>\n{% block body %}{% endblock %}",
        "parts.j2": "{% macro sign(x) %}\n{{ x }} {{ company }}\n{% endmacro %}",
        "hello/body.html.j2": "{% extends 'layout.j2' %}{% from 'parts.j2' import sign with context %}"
        "{% block body %}{{ sign(1) }}{% endblock %}",
    }

    with pytest.raises(RowRenderError) as caught:
        render(load(files))
    assert (caught.value.template, caught.value.line) == ("templates/parts.j2", 2)


def test_a_setting_is_named_as_the_campaign_file_has_it(load: Load) -> None:
    with pytest.raises(RowRenderError) as caught:
        render(load(headers={"X-Row": "{{ rwo }}"}), row=3)
    assert str(caught.value.where).startswith("[campaign.headers] X-Row:1   {{ rwo }}\n")
    assert caught.value.hint == '{{ row }}, or {{ rwo | default("there") }}'


def test_a_value_the_template_cannot_work_with_is_the_rows_trouble(load: Load) -> None:
    with pytest.raises(RowRenderError, match="cannot work with this row") as caught:
        text(load, "{{ price * 1.19 }}", price="ten")
    assert (caught.value.code, caught.value.line) == ("E305", 1)


@pytest.mark.parametrize("value", [datetime(2026, 11, 21), b"x", {1: "x"}, [object()], Markup("<b>"), (1,)])
def test_only_plain_data_gets_in(load: Load, value: object) -> None:
    with pytest.raises(RowRenderError, match="created holds a") as caught:
        text(load, "x", created=value)
    assert caught.value.code == "E305"


# Corpus 103.
@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("a\n{% if %}", 2),
        ("{{ x", 1),
        ("\n\n{% endfor %}", 3),
        ("a\nb {{ x | nofilter }}", 2),
        ("{{ " + "(" * 3_000, None),
    ],
)
def test_a_syntax_error_is_found_before_any_row(load: Load, body: str, line: int | None) -> None:
    with pytest.raises(TemplateError) as caught:
        load({"hello/body.txt.j2": body})
    assert caught.value.code == "E302"
    assert str(caught.value.where).startswith(f"templates/hello/body.txt.j2{f':{line}   ' if line else ''}")


def test_a_syntax_error_in_an_include_names_the_include(load: Load) -> None:
    with pytest.raises(TemplateError) as caught:
        load({"hello/body.txt.j2": "{% include 'footer.j2' %}", "footer.j2": "\n{{ | }}"})
    assert str(caught.value.where).startswith("templates/footer.j2:2   {{ | }}")


# Corpus 106, and what is no text.
@pytest.mark.parametrize(
    "content", ["Grüße".encode("utf-16"), "Hello".encode("utf-16-le"), b"line\n\xff\n", b"a\0b", b"x" * 1_000_001]
)
def test_what_is_not_a_text_file_is_refused_by_name(load: Load, content: bytes) -> None:
    with pytest.raises(
        TemplateError, match=r"templates/hello/body\.txt\.j2 (is not UTF-8|has 1000001 bytes)"
    ) as caught:
        load({"hello/body.txt.j2": content})
    assert caught.value.code == "E303"


def test_a_byte_order_mark_is_dropped(load: Load) -> None:
    assert render(load({"hello/body.txt.j2": b"\xef\xbb\xbfHello"})).text == "Hello"


@pytest.mark.parametrize(("missing", "said"), [("subject.txt.j2", r"no subject\.txt\.j2"), ("body.txt.j2", "no body")])
def test_a_missing_part_is_named(load: Load, missing: str, said: str) -> None:
    load()
    Path("templates/hello", missing).unlink()
    with pytest.raises(TemplateError, match=said) as caught:
        load_template(Path("templates/hello"))
    assert caught.value.code == "E303"


def test_a_missing_folder_names_the_nearest(load: Load) -> None:
    load()
    with pytest.raises(TemplateError, match="no template folder") as caught:
        load_template(Path("templates/helo"))
    assert (caught.value.code, caught.value.hint) == ("E303", "did you mean templates/hello?")


# Corpus 97 and S23.
@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "../../etc/passwd",
        "/etc/passwd",
        "..\\\\secret",
        "hello/../../secret",
        "//h/x",
        "a\\nb",
        "C:x",
        ".",
    ],
)
def test_no_include_leaves_the_root(load: Load, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("secret")

    with pytest.raises(TemplateError) as caught:
        load({"hello/body.txt.j2": f"\n{{% include '{name}' %}}"})
    assert caught.value.code == "E303"
    assert str(caught.value.where).startswith("templates/hello/body.txt.j2:2   ")

    with pytest.raises(TemplateError) as caught:
        text(load, "{% include where %}", where=name)
    assert caught.value.code == "E303"


# Corpus 98 and 111-113.
@pytest.mark.parametrize("kind", ["link out", "folder out", "device", "fifo", "folder", "loop"])
def test_nothing_but_a_regular_file_below_the_root_is_read(load: Load, tmp_path: Path, kind: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.j2").write_text("secret")
    root = tmp_path / "templates"
    root.mkdir()
    name = "link/x.j2" if kind == "folder out" else "link"
    match kind:
        case "link out":
            (root / "link").symlink_to(tmp_path / "elsewhere" / "x.j2")
        case "folder out":
            (root / "link").symlink_to(tmp_path / "elsewhere")
        case "device":
            (root / "link").symlink_to("/dev/zero")
        case "fifo":
            os.mkfifo(root / "link")
        case "folder":
            (root / "link").mkdir()
        case "loop":
            (root / "link").symlink_to(root / "link")

    with pytest.raises(TemplateError, match=f"templates/{name}") as caught:
        load({"hello/body.txt.j2": f"{{% import '{name}' as x %}}"})
    assert caught.value.code == "E303"


def test_a_link_that_stays_below_the_root_is_fine(load: Load, tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "link").symlink_to(tmp_path / "templates" / "footer.j2")

    assert render(load({"hello/body.txt.j2": "{% include 'link' %}", "footer.j2": "bye"})).text == "bye"


def test_a_folder_outside_of_templates_reaches_only_itself(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "mine" / "subject.txt").write_text("x")
    (tmp_path / "mine" / "body.txt").write_text("{% include 'secret.txt' %}")

    with pytest.raises(TemplateError, match=r"there is no secret\.txt") as caught:
        load_template(tmp_path / "mine")
    assert caught.value.code == "E303"
    assert render(load_template(tmp_path / "mine", root=tmp_path)).text == "secret"


# Corpus 105: CVE-2024-56201 needed a template whose name is code.
@pytest.mark.parametrize("name", ["x'''+str(1)+'''.j2", "x\ny.j2", 'x"y.j2'])
def test_a_file_with_quotes_or_line_ends_in_its_name_is_refused(load: Load, name: str) -> None:
    with pytest.raises(TemplateError) as caught:
        load({name: "x", "hello/body.txt.j2": f"{{% include {name!r} %}}"})
    assert caught.value.code == "E303"


def test_a_template_chosen_by_a_value_comes_from_what_was_loaded(load: Load) -> None:
    template = load(
        {"hello/body.txt.j2": "{% include 'parts/' ~ lang ~ '.j2' %}", "parts/de.j2": "Hallo", "logo.png": b"\x89\xff"}
    )
    Path("templates/parts/fr.j2").write_text("Salut")

    assert render(template, lang="de").text == "Hallo"
    with pytest.raises(RowRenderError, match=r"no template 'parts/fr\.j2'"):
        render(template, lang="fr")


def test_an_optional_include_may_be_missing(load: Load) -> None:
    body = "{% include 'a.j2' ignore missing %}{% include ['b.j2', 'c.j2'] %}"

    assert render(load({"hello/body.txt.j2": body, "c.j2": "c"})).text == "c"


def test_changing_a_file_after_loading_changes_nothing(load: Load) -> None:
    template = load({"hello/body.txt.j2": "{% include 'footer.j2' %}", "footer.j2": "before"})
    Path("templates/footer.j2").write_text("after")

    assert render(template).text == "before"


def test_the_hash_covers_every_source_and_nothing_else(load: Load) -> None:
    files = {"hello/body.txt.j2": "{% include 'footer.j2' %}", "footer.j2": "bye", "other.j2": "not used"}
    first = load(files).sha256

    assert re.fullmatch("[0-9a-f]{64}", first)
    assert load(files).sha256 == first
    assert load(files | {"other.j2": "changed"}).sha256 == first
    changed = {
        load(files | {"footer.j2": "Bye"}).sha256,
        load(files | {"hello/subject.txt.j2": "Other"}).sha256,
        load(files | {"hello/body.html.j2": "<p>"}).sha256,
        load(files, subject="News").sha256,
        load(files, to="News").sha256,
        load(files, headers={"X-A": "News"}).sha256,
    }
    assert len(changed | {first}) == 7


@pytest.mark.parametrize(
    ("body", "needed"),
    [
        ("{{ a }} {{ b.c }} {% for d in e %}{{ d }}{{ loop.index }}{% endfor %}", {"a", "b", "e"}),
        ("{{ a | default('x') }} {{ b | d(c) }}", {"c"}),
        ("{{ a | default('x') }} {{ a }}", {"a"}),
        ("{% if a is defined %}{{ a }}{% endif %}", set()),
        ("{% set a = a | default('x') %}{{ a }}", set()),
        ("{% set a = 1 %}{{ a }}{{ range(3) | list }}", set()),
        ("{% include 'part.j2' %}", {"from_part"}),
        ("{% extends 'layout.j2' %}{% block top %}{{ a }}{% endblock %}", {"a", "from_bottom"}),
        ("{% extends 'layout.j2' %}{% block top %}{{ super() }}{% endblock %}", {"from_top", "from_bottom"}),
        ("{% include 'round.j2' %}", {"again"}),
    ],
)
def test_variables_are_those_a_row_must_have(load: Load, body: str, needed: set[str]) -> None:
    template = load(
        {
            "part.j2": "{{ from_part }}",
            "layout.j2": "{% block top %}{{ from_top }}{% endblock %}{% block end %}{{ from_bottom }}{% endblock %}",
            "round.j2": "{% if again %}{% include 'round.j2' %}{% endif %}",
            "hello/body.txt.j2": body,
        }
    )

    assert template.variables == needed


def test_the_shipped_newsletter_is_accessible_and_complete() -> None:
    template = load_template(NEWSLETTER, unsubscribe_url="https://acme.example/u/{{ token }}")
    logo = "https://www.example.com/logo.png"
    rendered = render(template, first_name="Zoë", company="Müller & Söhne", token="abc", logo=logo)
    content = rendered.html or ""

    assert template.variables == {"first_name", "token"}
    assert 4_000 < len(content) < 6_500
    assert '<html lang="en"' in content
    assert "<title>The autumn letter from Müller &amp; Söhne</title>" in content
    assert content.count("<img") == len(re.findall(r'<img [^>]*alt="[^"]', content)) > 0
    assert content.count("<table") == content.count('<table role="presentation"')
    assert "prefers-color-scheme: dark" in content
    assert "http:" not in content
    assert "{{" not in content + (rendered.text or "")
    assert content.count("https://acme.example/u/abc") == (rendered.text or "").count("https://acme.example/u/abc") == 1
    assert max(map(len, (rendered.text or "").splitlines())) <= 78


def test_the_shipped_newsletter_needs_only_a_first_name() -> None:
    rendered = render(load_template(NEWSLETTER), first_name="Jane")

    assert rendered.subject == "Jane, your autumn letter from Acme"
    assert "Unsubscribe" not in (rendered.html or "") + (rendered.text or "")

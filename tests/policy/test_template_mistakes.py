"""Mistakes in a template: what to write instead is in the error, ready to be pasted."""

from pathlib import Path

import pytest

from mailer.vocabulary.errors import TemplateError
from tests.policy.composing import Desk


def mistake(tmp_path: Path, body: str, code: str = "E302") -> TemplateError:
    desk = Desk(tmp_path)
    desk.write("subject.txt.j2", "News")
    desk.write("body.txt.j2", body)
    with pytest.raises(TemplateError) as caught:
        desk.form()
    assert caught.value.code == code
    return caught.value


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ("{% if vip %}\nHello", "{% endif %}"),
        ("{% for x in y %}{{ x }}", "{% endfor %}"),
        ("{% if vip %}{% endfor %}", "{% endif %}"),
        ("{% iff vip %}x{% endif %}", "{% if … %}"),
        ("{% inclde 'x' %}", "{% include … %}"),
        ("{{ name | uper }}", "| upper"),
        ("{{ name is definde }}", "is defined"),
        ("Hello {{ first name }}", "{{ first_name }}"),
        ("Hello {{ first name | upper }}", "{{ first_name | upper }}"),
        ("Hello {{ name }, bye", "{{ name }}"),
        ("Hello {{ name", "{{ name }}"),
        ("{% if name = 'Ann' %}x{% endif %}", "{% if name == 'Ann' %}"),
        ("{{ name | default(“you”) }}", '{{ name | default("you") }}'),
        ("Hello {# greeting", "#}"),
        ("{% raw %}{{ x }}", "{% endraw %}"),
    ],
)
def test_a_syntax_error_says_what_to_write(tmp_path: Path, body: str, hint: str) -> None:
    """The line is shown, and below it what it should have been."""
    error = mistake(tmp_path, body)
    assert error.hint == hint
    assert str(error.where).startswith("templates/hello/body.txt.j2:")


@pytest.mark.parametrize("body", ["{{ 1 + }}", "{% for %}x{% endfor %}", "{{ | }}", "{{ a.b. }}"])
def test_a_syntax_error_that_nobody_can_guess_says_nothing_wrong(tmp_path: Path, body: str) -> None:
    """No hint is better than a wrong one."""
    assert mistake(tmp_path, body).hint is None


def test_a_missing_include_names_the_nearest_file(tmp_path: Path) -> None:
    """A file called the same elsewhere, or nearly so, is what was meant."""
    Desk(tmp_path).write("parts/footer.txt.j2", "bye")
    assert mistake(tmp_path, "{% include 'footer.txt.j2' %}", "E303").hint == '"hello/parts/footer.txt.j2"'
    error = mistake(tmp_path, "a\n{% include 'hello/parts/foter.txt.j2' %}", "E303")
    assert error.hint == '"hello/parts/footer.txt.j2"'
    assert error.message == "there is no hello/parts/foter.txt.j2 below templates"
    assert error.where == "templates/hello/body.txt.j2:2   {% include 'hello/parts/foter.txt.j2' %}"


@pytest.mark.parametrize("name", ["zzzz", "../../etc/passwd", "a\\\\b"])
def test_every_missing_or_forbidden_include_says_what_to_do(tmp_path: Path, name: str) -> None:
    """Where nothing is near, it says where a file would have to be."""
    assert "templates" in str(mistake(tmp_path, f"{{% include '{name}' %}}", "E303").hint)

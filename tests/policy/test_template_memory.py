"""Loading again: what was compiled before is compiled no more, and never stands for anything else."""

from pathlib import Path

import jinja2
import pytest

from mailer.policy.rendering import load_template, memory
from mailer.policy.rendering.memory import Memory
from mailer.policy.rendering.template import Template
from mailer.vocabulary.errors import TemplateError


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in (
        {"subject.txt": "News"} | {name.replace("_", "."): text for name, text in files.items()}
    ).items():
        (folder / name).write_text(text)
    return folder


def render(template: Template, **row: object) -> tuple[str | None, str | None]:
    rendered = template.render(row, row=1, where="x")
    return rendered.text, rendered.html


def test_a_second_load_compiles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "a", body_txt="Hello {{ name }}", body_html='{% include "foot.html" %}', foot_html="<p>")
    first = load_template(folder)
    # What is included is compiled for HTML when it is first rendered.
    assert render(first, name="Zoë") == ("Hello Zoë", "<p>")

    def compile_again(*_: object, **__: object) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr(jinja2.Environment, "_generate", compile_again)
    monkeypatch.setattr(jinja2.Environment, "_parse", compile_again)
    second = load_template(folder)
    assert render(second, name="Zoë") == ("Hello Zoë", "<p>")
    assert (second.sha256, second.variables) == (first.sha256, first.variables)


def test_a_file_that_was_changed_is_read_anew(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", body_txt='Hello {{ name }} {% include "foot.txt" %}', foot_txt="one")
    assert render(load_template(folder), name="Zoë") == ("Hello Zoë one", None)
    write(folder, foot_txt="{{ more }}")
    changed = load_template(folder)
    assert changed.variables == {"name", "more"}
    assert render(changed, name="Zoë", more="two") == ("Hello Zoë two", None)


def test_the_same_text_is_escaped_in_html_alone(tmp_path: Path) -> None:
    same = 'Hello {{ name }} {% include "foot" %}'
    folder = write(tmp_path / "a", body_txt=same, body_html=same)
    (folder / "foot").write_text("{{ name }}")
    for _ in range(2):
        assert render(load_template(folder), name="<b>") == ("Hello <b> <b>", "Hello &lt;b&gt; &lt;b&gt;")


def test_folders_with_equal_files_and_other_includes_stay_apart(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / name, body_txt='{% include "foot.txt" %}', foot_txt=f"{{{{ {name} }}}}")
    assert [load_template(tmp_path / name).variables for name in ("one", "two", "one")] == [{"one"}, {"two"}, {"one"}]


def test_a_mistake_is_told_every_time_with_its_own_place(tmp_path: Path) -> None:
    for name in ("one", "two", "two"):
        folder = write(tmp_path / name, body_txt="Hello\n{% if %}")
        with pytest.raises(TemplateError) as caught:
            load_template(folder, shown=Path(name))
        assert caught.value.code == "E302"
        assert (caught.value.where or "").startswith(f"{name}/body.txt:2")
    write(tmp_path / "one", body_txt='{% include "none.txt" %}')
    for _ in range(2):
        with pytest.raises(TemplateError) as caught:
            load_template(tmp_path / "one")
        assert caught.value.code == "E303"


def test_the_oldest_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST_KEPT", 2)
    kept = Memory[str]()
    for key in ("a", "b", "c"):
        assert kept.recall(key, lambda key=key: f"found {key}") == f"found {key}"  # type: ignore[misc]  # a default binds
    assert [kept.get(key) for key in ("a", "b", "c")] == [None, "found b", "found c"]


def test_what_raises_is_not_remembered() -> None:
    kept = Memory[str]()
    with pytest.raises(ZeroDivisionError):
        kept.recall("a", lambda: str(1 // 0))
    assert kept.recall("a", lambda: "found") == "found"

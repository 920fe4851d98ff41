"""The sandbox: no template gets out, none makes the machine suffer, and an honest one notices nothing."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from mailer.policy.rendering import RowRenderError, Template, load_template
from mailer.vocabulary.errors import TemplateError
from tests.thorough import first

Load = Callable[..., Template]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load a folder with this as its text and its HTML."""

    def write_and_load(body: str, **settings: int) -> Template:
        for name, content in {"subject.txt.j2": "x", "body.txt.j2": body, "body.html.j2": body}.items():
            (tmp_path / name).write_text(content)
        return load_template(tmp_path, **settings)  # type: ignore[arg-type]

    return write_and_load


def render(template: Template, **row: object) -> str | None:
    return template.render(row, row=1, where="x").text


# Corpus 92-96 and S19.
@pytest.mark.parametrize(
    "body",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.popen('touch canary').read() }}",
        "{{ lipsum.__globals__ }}",
        "{{ lipsum['__globals__']['os'].popen('touch canary') }}",
        "{{ ('a{0.__class__}' | attr('format'))(1) }}",
        "{% set f = '{0.__class__}'.format %}{{ f(1) }}",
        "{{ '{0.__class__.__init__.__globals__}'.format(cycler) }}",
        "{{ '{x.__class__}'.format_map({'x': 1}) }}",
        "{{ [''] | map('attr', '__class__') | list | first }}{{ [''] | map(attribute='__class__.__mro__') | list }}",
        "{{ (1).__class__ | string }}",
        "{{ namespace.__init__.__globals__ }}",
        "{{ self.__init__.__globals__ }}",
        "{{ self._TemplateReference__context.eval_ctx }}",
        "{{ name.__class__.__base__ }}",
        "{% for x in [1].append(2) %}{% endfor %}",
        "{{ items.append(1) }}",
        "{{ customer.update({'a': 1}) }}",
        "{{ joiner.__call__.__globals__ }}",
        "{{ (name | safe).__html__.__func__.__globals__ }}",
        "{{ 'a'.translate({97: 'b'}) }}",
    ],
)
def test_no_template_gets_out_of_the_sandbox(load: Load, tmp_path: Path, body: str) -> None:
    items: list[object] = [1]
    customer: dict[str, object] = {"b": 2}
    with pytest.raises(TemplateError) as caught:
        render(load(body), name="x", items=items, customer=customer)

    assert caught.value.code == "E304"
    assert str(caught.value.where).startswith(f"{tmp_path}/body.txt.j2:1   ")
    assert (items, customer) == ([1], {"b": 2})
    assert not (tmp_path / "canary").exists()


# Corpus 99-101 and S21. Sizes first: none of these may make what it asks for.
HUGE = [
    "{{ 'a' * 10**9 }}",
    "{{ 1000000000 * 'a' }}",
    "{{ ['a'] * 10**9 }}",
    "{{ 2 ** 10000000 }}",
    "{{ (2 ** 15000) * (2 ** 15000) }}",
    "{{ 'a' | center(1000000000) }}",
    "{{ 'a'.ljust(1000000000) }}",
    "{{ ('a' | safe).zfill(1000000000) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%.1000000000f' | format(1.0) }}",
    "{{ '%*d' % (1000000000, 1) }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ '{:{}}'.format(1, 1000000000) }}",
    "{{ 1.5 | round(1000000000) }}",
    "{{ [1] | batch(1000000000, 'x') | list }}",
    "{{ [1] | slice(1000000000) | list }}",
    "{{ 'a' | indent(1000000000, first=true) }}",
    "{{ lipsum(n=100000, max=10000) }}",
    "{{ range(10**9) | list }}",
    "{{ ('a' * 1000000) | replace('a', 'b' * 100000) }}",
    "{{ ('a' * 1000000).replace('', 'b' * 100000) }}",
    "{{ ','.join(['y' * 100000] * 100000) }}",
    "{{ ([{'x': 'y' * 100000}] * 100000) | map(attribute='x') | join }}",
    "{{ range(100000) | map('center', 100000) | join }}",
    "{% set a = 'x' %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}",
    "{% set a = 'x' %}" + "{% set a = a + a %}" * 40 + "{{ a }}",
    "{% set a %}x{% endset %}" + "{% set a %}{{ a }}{{ a }}{% endset %}" * 40 + "{{ a }}",
    "{% set a = '\"' %}" + "{% set a = a | tojson %}" * 60 + "{{ a }}",
    "{% for i in range(100000) %}" + "x" * 1_000 + "{% endfor %}",
    "{{ ('<!--' * 200000) | striptags }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% macro m(n) %}{{ m(n + 1) }}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
    "{% include 'body.txt.j2' %}",
    "{{ 'x' * 2000001 }}",
]


@pytest.mark.parametrize("body", first(12, HUGE))
def test_what_would_be_huge_is_refused_at_once(load: Load, tmp_path: Path, body: str) -> None:
    before = time.process_time()
    with pytest.raises(RowRenderError) as caught:
        render(load(body))

    assert caught.value.code == "E307"
    assert str(caught.value.where).startswith(f"{tmp_path}/body.txt.j2")
    assert time.process_time() - before < 1.0


ENDLESS = [
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "{% set big = 'x' * 1900000 %}{% for i in range(99999) %}{% if 'y' in big %}{% endif %}{% endfor %}",
    "{% set a = [1, 1] %}" + "{% set a = [a, a] %}" * 40 + "{{ a }}",
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(40) }}",
    "{% for x in [1] recursive %}{% if loop.depth < 40 %}{{ loop([1]) }}{{ loop([1]) }}{% endif %}{% endfor %}",
    "{{ range(99999) | map('upper') | map('list') | map('sort') | map('join') | select('in', 'x' * 999) | list }}",
]


@pytest.mark.parametrize("body", first(2, ENDLESS))
def test_what_would_never_end_is_stopped(load: Load, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailer.policy.rendering.template.MAX_SECONDS", 0.1)
    before = time.process_time()
    with pytest.raises(RowRenderError) as caught:
        render(load(body))

    assert caught.value.code == "E307"
    assert time.process_time() - before < 1.0


def test_a_part_may_be_as_large_as_allowed_and_no_larger(load: Load) -> None:
    template = load("{{ name }}", max_part=1_000)

    assert render(template, name="x" * 1_000) == "x" * 1_000
    with pytest.raises(RowRenderError, match="makes 1001 characters"):
        render(template, name="x" * 1_001)


HONEST = [
    "{{ 'a' ~ 1 ~ '<' }} {{ 'a' * 3 }} {{ 1 + 2 }} {{ 'a' + 'b' }} {{ 7 % 4 }} {{ 2 ** 10 }} {{ 7 // 2 }} {{ -x }}",
    "{{ '<b>' | safe ~ name }} {{ name ~ '<b>' | safe ~ 1 }} {{ ['<i>' | safe, name] | join }}",
    "{{ '<%s>' | safe | format(name) }} {% set y %}<u>{{ name }}{% endset %}{{ y }}{{ y ~ y }}",
    "{{ [3, 1] | sort | join('-') }} {{ range(3) | map('string') | join(',') }} {{ [] | join(',') }}",
    "{{ ', '.join(['a', 'b']) }} {{ '-'.join(range(3) | map('string')) }} {{ 'abc' | list | reverse | join }}",
    "{{ '%.2f' | format(2.5) }} {{ '%s: %d' % ('a', 3) }} {{ '{:>6,.2f}: {}'.format(1234.5, 2) }}",
    "{% for x in 'abc' %}{{ loop.index }}/{{ loop.length }}{{ ',' if not loop.last }}{% else %}none{% endfor %}",
    "{% for x in [[1, [2]], 3] recursive %}{{ loop(x) if x is iterable else x }}{% endfor %}",
    "{% macro b(x) %}<{{ x }}|{{ caller() }}>{% endmacro %}{% call b('i') %}in{% endcall %}",
    "{{ 'one two' | title | replace('o', '0') | center(11) }}|",
    "{{ 'a\nb' | indent(2) }} {{ 'a b c' | wordwrap(3) }} {{ 'see https://a.test/' | urlize }}",
    "{{ 2.345 | round(1) }} {{ x | default('y') }} {{ none | default('y', true) }} {{ [1, 2] | sum }}",
    "{{ items[0].name | upper }} {{ items | length }} {{ items | map(attribute='name') | first }} {{ items }}",
    "{{ items[0] | xmlattr }} {{ items | tojson }} {{ name | urlencode }}",
    "{% for k, v in items[0].items() %}{{ k }}={{ v }}{% endfor %}",
    "{{ items[0] | dictsort }} {{ items[0].values() }}",
    "{% for row in [1, 2, 3] | batch(2, 0) %}{{ row }}{% endfor %}",
    "{% for column in [1, 2] | slice(2) %}{{ column }}{% endfor %}",
    "{% filter upper %}a{{ name }}{% endfilter %} {% set n = namespace(a=1) %}{% set n.a = n.a + 1 %}{{ n.a }}",
    "{% set c = cycler('odd', 'even') %}{{ c.next() }}{{ c.next() }} {% set j = joiner() %}{{ j() }}{{ j() }}",
    "{{ '<b>bold</b> text' | striptags | truncate(6) }} {{ dict(a=1).a }} {{ 'x' in name }}",
    "{{ name[0] | e }} {{ x is odd }} {{ name is not defined }} {{ x is divisibleby 3 }}",
    "{% block a %}{{ self.b() }}{% endblock %}{% block b %}b{% endblock %}{% if x > 2 and name %}yes{% endif %}",
]


@pytest.mark.parametrize("body", first(12, HONEST))
def test_an_honest_template_makes_what_stock_jinja2_makes(load: Load, body: str) -> None:
    row: dict[str, object] = {"name": "<&>", "x": 3, "items": [{"name": "nail", "price": 1.5}]}
    rendered = load(body).render(row, row=1, where="x")

    for made, autoescape in ((rendered.text, False), (rendered.html, True)):
        stock = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=autoescape)
        assert made == stock.from_string(body).render(row)

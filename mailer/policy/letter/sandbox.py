"""The sandbox of letters: what it renders tells the values of the row from the words of the template."""

from typing import Any

from jinja2 import nodes
from jinja2.nodes import EvalContext
from jinja2.utils import pass_eval_context
from markupsafe import Markup

from mailer.policy.letter.values import enclose
from mailer.policy.rendering import metering
from mailer.policy.rendering.sandbox import Sandbox
from mailer.policy.rendering.sources import Sources

_IN_HTML = ("<", "&")


class LetterSandbox(Sandbox):
    """Compiles letters: each `{{ … }}` is written as `values.enclose` has it, wherever it is written to the letter.

    Nothing is escaped by itself, since the letter is text until it is rendered.
    """

    def __init__(self, sources: Sources) -> None:
        super().__init__(sources, autoescape=False)
        self.filters = self.filters | {"from_row": _from_row}

    def _generate(
        self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False
    ) -> str:
        _enclose_all(source.body)
        source.set_environment(self)
        return super()._generate(source, name, filename, defer_init)


@pass_eval_context
def _from_row(context: EvalContext, value: object, names: dict[str, object]) -> str:
    """Enclose a value; `names` are the variables that its expression uses."""
    metering.written(value)
    text = str(value)
    if isinstance(value, Markup):
        return Markup(enclose(text))  # noqa: S704 (it was before)
    column = None
    if not context.autoescape and any(character in text for character in _IN_HTML):
        column = next((name for name, used in names.items() if _needs_escaping(used)), None)
    return enclose(text, column)


def _needs_escaping(value: object) -> bool:
    if isinstance(value, Markup):
        return False
    if isinstance(value, str):
        return any(character in value for character in _IN_HTML)
    if isinstance(value, list):
        return any(map(_needs_escaping, value))
    return isinstance(value, dict) and any(map(_needs_escaping, value.values()))


def _enclose_all(body: list[nodes.Node]) -> None:
    """Rewrite the statements that write to the letter; what macros and sets make comes by these later."""
    for at, statement in enumerate(body):
        match statement:
            case nodes.Output():
                statement.nodes = [_enclosed(part) for part in statement.nodes]
            case nodes.CallBlock() | nodes.FilterBlock():
                empty = nodes.Dict([], lineno=statement.lineno)
                enclosing = _filter(None, empty, statement.lineno)
                body[at] = nodes.FilterBlock([statement], enclosing, lineno=statement.lineno)
            case nodes.Macro() | nodes.AssignBlock():
                pass
            case _:
                for _, inner in statement.iter_fields():
                    if isinstance(inner, list) and all(isinstance(item, nodes.Stmt) for item in inner):
                        _enclose_all(inner)


def _enclosed(expression: nodes.Expr) -> nodes.Expr:
    if isinstance(expression, nodes.TemplateData | nodes.Const):
        return expression
    line = expression.lineno
    inner = [expression, *expression.find_all(nodes.Name)]
    used = dict.fromkeys(name.name for name in inner if isinstance(name, nodes.Name))
    pairs = [nodes.Pair(nodes.Const(name), nodes.Name(name, "load", lineno=line), lineno=line) for name in used]
    return _filter(expression, nodes.Dict(pairs, lineno=line), line)


def _filter(of: nodes.Expr | None, names: nodes.Dict, line: int) -> nodes.Filter:
    # What a FilterBlock writes to has no node, which Jinja2's own parser has as None too.
    node: Any = of
    return nodes.Filter(node, "from_row", [names], [], None, None, lineno=line)

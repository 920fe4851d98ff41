"""Needs: which other templates a template refers to, and which variables it cannot do without."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, meta, nodes

from mailer.policy.rendering.sources import Sources


@dataclass(frozen=True, slots=True)
class Reference:
    """An `extends`, `include` or `import` in a line: the first of `names` that exists; None where a value decides."""

    line: int
    names: tuple[str, ...] | None
    is_optional: bool
    is_parent: bool


def find_references(tree: nodes.Template) -> Iterator[Reference]:
    """What a template refers to."""
    referring: Iterator[Any] = tree.find_all((nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport))
    for node in referring:
        try:
            wanted = node.template.as_const()
            names = (wanted,) if isinstance(wanted, str) else tuple(map(str, wanted))
        except nodes.Impossible:
            names = None
        is_optional = isinstance(node, nodes.Include) and node.ignore_missing
        yield Reference(node.lineno, names, is_optional, isinstance(node, nodes.Extends))


def find_variables(environment: Environment, sources: Sources, name: str) -> frozenset[str]:
    """The variables that the template `name` needs, with all it refers to by name.

    A variable that everywhere has a `default`, or that is asked anywhere whether it `is defined`, is not needed; nor is
    what only a block uses that a child has replaced. Templates chosen by a value are not looked into.
    """
    seen: set[tuple[str, frozenset[str]]] = set()

    def look(name: str, replaced: frozenset[str]) -> Iterator[str]:
        text = sources.text(name)
        if text is None or (name, replaced) in seen:
            return
        seen.add((name, replaced))
        tree = environment.parse(text, name)
        blocks = list(tree.find_all(nodes.Block))
        for block in blocks:
            if block.name in replaced:
                block.body = []
        below = replaced | {block.name for block in blocks if not _calls_super(block)}
        for reference in find_references(tree):
            for other in reference.names or ():
                yield from look(other, below if reference.is_parent else frozenset())
        yield from _find_needed(tree)

    return frozenset(look(name, frozenset()))


def _calls_super(block: nodes.Block) -> bool:
    return any(name.name == "super" for name in block.find_all(nodes.Name))


def _find_needed(tree: nodes.Template) -> set[str]:
    asked = {
        test.node.name
        for test in tree.find_all(nodes.Test)
        if test.name in ("defined", "undefined") and isinstance(test.node, nodes.Name)
    }
    # `x | default(y)` needs y alone.
    for filtered in list(tree.find_all(nodes.Filter)):
        if filtered.name in ("default", "d") and isinstance(filtered.node, nodes.Name):
            filtered.node = nodes.Const(None)
    return meta.find_undeclared_variables(tree) - asked

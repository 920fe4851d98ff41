"""The sandbox: Jinja2 where a template sees plain data, nothing else, and pays for what it does."""

from collections.abc import Callable
from functools import partial
from typing import Any

from jinja2 import BaseLoader, Environment, StrictUndefined, TemplateNotFound, UndefinedError, nodes
from jinja2.nodes import EvalContext
from jinja2.runtime import Context, markup_join, str_join
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing, pass_eval_context

from mailer.policy.rendering import metering
from mailer.policy.rendering.foresight import check_format
from mailer.policy.rendering.memory import CompiledBefore
from mailer.policy.rendering.sources import Sources

# Text methods that no mail needs and that make much out of little.
_NEEDLESS = frozenset({"expandtabs", "from_bytes", "maketrans", "to_bytes", "translate"})


class MissingError(UndefinedError):
    """A template uses `name` of `owner`, or a variable `name` where `owner` is None, and there is none."""

    def __init__(self, name: str, owner: object, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.owner = owner


class _Missing(StrictUndefined):
    """Strict, and its error says in fields what was missing."""

    __slots__ = ()

    def __init__(
        self,
        hint: str | None = None,
        obj: Any = missing,
        name: str | None = None,
        exc: type[Exception] = UndefinedError,
    ) -> None:
        if exc is UndefinedError and hint is None:
            exc = partial(MissingError, str(name), None if obj is missing else obj)  # type: ignore[assignment] # Jinja2 only calls it
        super().__init__(hint, obj, name, exc)  # type: ignore[arg-type] # likewise


class Sandbox(ImmutableSandboxedEnvironment):
    """Compiles sources that have been read before; no loader of it ever touches the disk.

    Autoescape goes by the part that is rendered and not by file names, so a campaign has two of these. What they make
    can be rendered only inside `metering.limited_to`. `finalize` makes of each value what is written, and pays for it.
    Threads may share one.
    """

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(
        self, sources: Sources, *, autoescape: bool, finalize: Callable[[object], object] = metering.written
    ) -> None:
        super().__init__(
            autoescape=autoescape,
            undefined=_Missing,
            finalize=finalize,
            loader=_ReadBefore(sources),
            auto_reload=False,
            # Filters and the like are looked up when a template runs; these three are in what is compiled.
            bytecode_cache=CompiledBefore((type(self), autoescape, finalize)),
        )
        self.concat = metering.join  # type: ignore[method-assign] # Jinja2 looks it up here
        self.filters = metering.metered(self.filters) | {"step": metering.step, "concatenate": _concatenate}
        self.tests = metering.metered(self.tests)

    def _generate(
        self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False
    ) -> str:
        _meter(self, source)
        return super()._generate(source, name, filename, defer_init)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Refuse the needless text methods too."""
        return attr not in _NEEDLESS and super().is_safe_attribute(obj, attr, value)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call what a template calls, metered."""
        args = metering.foresee_call(obj, args, kwargs)
        result = super().call(context, obj, *args, **kwargs)
        metering.charge_result(result)
        return result

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Do arithmetic, metered."""
        return metering.operate(self.binop_table[operator], operator, left, right)

    def wrap_str_format(self, value: Any) -> Any:
        """Refuse widths in `str.format`, which could make a gigabyte of a digit."""
        wrapped = super().wrap_str_format(value)
        if wrapped is not None:
            check_format(value.__self__)
        return wrapped


class _ReadBefore(BaseLoader):
    """Finds what `Sources` has read."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, None]:
        text = self._sources.text(template)
        if text is None:
            raise TemplateNotFound(template)
        return text, template, None


@pass_eval_context
def _concatenate(context: EvalContext, values: list[object]) -> str:
    metering.written(values)
    return markup_join(values) if context.autoescape else str_join(values)


def _meter(environment: Environment, tree: nodes.Template) -> None:
    """Rewrite a template: every body that can run often pays where it begins, and `~` pays before it joins."""
    repeatable: list[Any] = [tree, *tree.find_all((nodes.For, nodes.Macro, nodes.CallBlock, nodes.Block))]
    for owner in repeatable:
        # Of the context nothing is known at compile time, so this is not computed then.
        step = nodes.Filter(nodes.ContextReference(), "step", [], [], None, None)
        owner.body.insert(0, nodes.ExprStmt(step).set_lineno(owner.lineno))
    for concat in list(tree.find_all(nodes.Concat)):
        concat.nodes = [nodes.Filter(nodes.List(concat.nodes), "concatenate", [], [], None, None)]
    tree.set_environment(environment)

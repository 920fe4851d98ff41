"""A part: one compiled source of a template, run for each row."""

from collections.abc import Mapping

from jinja2 import Template as Compiled

from mailer.policy.rendering import metering


class Part:
    """What Jinja2's own `Template.render` does, but the output stays in the pieces that were written.

    Jinja2 goes over its globals anew for each render; those of a sandbox never change.
    """

    __slots__ = ("_compiled", "_globals", "name")

    def __init__(self, compiled: Compiled) -> None:
        self.name = compiled.name or ""
        self._compiled = compiled
        self._globals = dict(compiled.globals)

    def write(self, variables: Mapping[str, object]) -> list[str]:
        """The pieces of output, paid for; only inside `metering.limited_to`. Raises what the template raises."""
        compiled, environment = self._compiled, self._compiled.environment
        parent = {**self._globals, **variables}
        context = environment.context_class(environment, parent, compiled.name, compiled.blocks, globals=self._globals)
        try:
            return metering.collect(compiled.root_render_func(context))
        except Exception:
            # Raises it again, with the lines of the template in its traceback.
            environment.handle_exception()

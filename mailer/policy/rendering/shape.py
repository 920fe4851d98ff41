"""Shapes: the HTML part with a token in the place of every value, so that what is done to it is done once for many."""

import hashlib
import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass

from markupsafe import Markup, escape

from mailer.policy.rendering import metering
from mailer.policy.rendering.sandbox import Sandbox
from mailer.policy.rendering.sources import Sources


@dataclass(frozen=True, slots=True)
class Shape:
    """A rendered HTML part. `html` is `shape` with each token replaced by its value, escaped.

    Where that cannot be had, since the template looks at what it has written itself, `shape` is `html` and there are no
    values. A value that is written twice has one token; one that is blank, or is markup, has none.
    """

    html: str
    shape: str
    values: Mapping[str, str]


class Tokens:
    """The values of one render by token. The tokens are words that are in no template, and that no row can know."""

    def __init__(self, word: str) -> None:
        self._word = word
        self.of: dict[str, str] = {}

    def give(self, value: str) -> str:
        """The token of a value."""
        return self.of.setdefault(value, f"{self._word}{len(self.of)}x")


_tokens: ContextVar[Tokens | None] = ContextVar("shape_tokens", default=None)


class Shaper:
    """Renders the HTML part `name` a second time, for its shape. Threads may share it."""

    def __init__(self, sources: Sources, name: str) -> None:
        self._compiled = Sandbox(sources, autoescape=True, finalize=_written).get_template(name)
        # Letters and digits alone go through every program untouched.
        self._word = "q" + hashlib.sha256(f"token {sources.sha256}".encode()).hexdigest()[:16] + "n"
        self._token = re.compile(rf"{self._word}\d+x")

    def shape(self, variables: Mapping[str, object], html: str) -> Shape:
        """The shape of what these variables rendered as `html`. For use inside `metering.limited_to` only."""
        tokens = Tokens(self._word)
        reset = _tokens.set(tokens)
        try:
            shape = self._compiled.render(variables)
        finally:
            _tokens.reset(reset)
        values = {token: value for value, token in tokens.of.items()}
        escaped = {token: str(escape(value)) for token, value in values.items()}
        if self._token.sub(lambda found: escaped.get(found[0], ""), shape) != html:
            return Shape(html, html, {})
        return Shape(html, shape, values)


def _written(value: object) -> object:
    """What is written in the place of a value: its token while a shape is rendered, else itself."""
    metering.written(value)
    tokens = _tokens.get()
    if tokens is None or isinstance(value, Markup):
        return value
    text = str(value)
    return tokens.give(text) if text.strip() else text

"""Template errors: the file, the line, the place in the line, and the nearest thing that would have worked."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from mailer.vocabulary.errors import TemplateError
from mailer.vocabulary.reply import sanitise

_WIDEST = 100
_OURS = frozenset({"campaign", "row", "token", "unsubscribe_url"})
"""Variables that are no columns of the list."""
_SET = {
    "token": ("No secret is set to make it with.", "MAILER_TOKEN_SECRET_FILE=/run/secrets/token"),
    "unsubscribe_url": (
        "The campaign does not set it.",
        'unsubscribe_url = "https://www.example.com/unsubscribe/{{ token }}" in [campaign]',
    ),
}
"""Those that are there only once something is set: why, and what to set."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A line of a template: the file as a person knows it, the number from 1, and the text; line 0 is all of it."""

    template: str
    line: int
    source_line: str

    def show(self, word: str | None = None) -> str:
        """`hello/body.html.j2:12   <p>Hello {{ first_name }},</p>`, and below it a caret under `word`."""
        if self.line == 0:
            return self.template
        place = f"{self.template}:{self.line}   "
        text = self.source_line.strip()
        column = _find_word(text, word) if word else None
        start = max(0, (column or 0) + len(word or "") - _WIDEST)
        # One for one, so that the caret stays where it belongs.
        shown = "".join(letter if letter.isprintable() else " " for letter in text[start : start + _WIDEST])
        if word is None or column is None:
            return f"{place}{shown}".rstrip()
        return f"{place}{shown}\n{' ' * (len(place) + column - start)}{'^' * len(word)}"


def _find_word(text: str, word: str) -> int | None:
    """Where a line uses a variable: in the first tag that does, rather than in the words around it."""
    whole = re.compile(rf"(?<![\w.]){re.escape(word)}(?!\w)")
    for tag in re.finditer(r"\{\{.*?\}\}|\{%.*?%\}", text):
        if (found := whole.search(text, tag.start(), tag.end())) is not None:
            return found.start()
    found = whole.search(text)
    return found.start() if found else None


class RowRenderError(TemplateError):
    """A row cannot be rendered; the others may well be.

    `variable` is what the template needs and the row has not (E301), else None. `template`, `line` and `source_line`
    say where; `row` and `source` are those given to `render`.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        spot: Spot,
        variable: str | None = None,
        why: str | None = None,
        hint: str | None = None,
        cause: str | None = None,
        row: int | None = None,
        source: str | None = None,
    ) -> None:
        super().__init__(code, message, where=spot.show(variable), why=why, hint=hint, cause=cause)
        self.variable = variable
        self.template = spot.template
        self.line = spot.line or None
        self.source_line = spot.source_line
        self.row = row
        self.source = source


def explain_missing(variable: str, known: Iterable[str], kind: str) -> tuple[str, str]:
    """Why and hint for a name that is not there: what there is, and the nearest of it or a default to write."""
    if variable in _SET:
        return _SET[variable]
    names = [sanitise(name) for name in known]
    name = variable.rpartition(".")[2]
    default = f'{{{{ {variable} | default("there") }}}}'
    nearest = get_close_matches(name, names, n=1)
    near = variable.removesuffix(name) + nearest[0] if nearest else ""
    shown = ", ".join(name for name in names if name not in _OURS) or "none"
    return sanitise(f"{kind}: {shown}"), f"{{{{ {near} }}}}, or {default}" if near else default

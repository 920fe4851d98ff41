"""A template: compiled once, it makes the parts of a message from each row, or says what the row lacks."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import PurePath
from traceback import walk_tb

from jinja2 import Template as Compiled
from jinja2 import TemplateNotFound, UndefinedError
from jinja2.exceptions import SecurityError

from mailer.policy.body import Blocks
from mailer.policy.rendering import metering
from mailer.policy.rendering.budget import BudgetExceededError
from mailer.policy.rendering.errors import RowRenderError, Spot, explain_missing
from mailer.policy.rendering.images import Images
from mailer.policy.rendering.part import Part
from mailer.policy.rendering.sandbox import MissingError
from mailer.policy.rendering.shape import Shaper
from mailer.policy.rendering.sources import Sources
from mailer.vocabulary.chunk import Attached
from mailer.vocabulary.errors import TemplateError
from mailer.vocabulary.reply import sanitise

MAX_PART = 2_000_000
"""Characters of a rendered part, unless `load_template` is told otherwise."""
MAX_SECONDS = 1.0
"""Processor time of a row."""

DeriveText = Callable[[str, Mapping[str, str]], str]
"""Makes the text part from the shape of the HTML part and the value of each token in it."""

_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}")
_SCALARS = frozenset({str, int, float, bool, type(None)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What a row makes: bodies with `\\n` line ends, and all else of one line unless a value has another.

    Bodies that a template wrote are a `Body`.

    Nothing is checked or encoded yet; `Skeleton.build` does both.
    """

    subject: str
    text: str | None
    html: str | None
    to: str | None
    reply_to: str | None
    headers: tuple[tuple[str, str], ...]
    unsubscribe_url: str | None
    cc: str | None = None
    bcc: str | None = None
    attachments: tuple[str, ...] = ()


class Template:
    """A template folder and what the campaign sets over it, compiled by `load_template`. Threads may share it.

    `sha256` is a hash of every source: parts, includes, settings, and the images that they name. `parts` says which it
    has (`text`, `html`, `to`, …), also when `derives_text` says that the text part is made of the HTML part.
    `variables` are the names that it needs: those that mailer gives (`campaign`, `row`, `token`) are among them, those
    that have a `default` are not.
    """

    def __init__(
        self,
        sources: Sources,
        parts: Mapping[str, Compiled],
        variables: frozenset[str],
        max_part: int,
        *,
        images: Images | None = None,
        text_of: tuple[Shaper, DeriveText] | None = None,
    ) -> None:
        self._images = images or Images(sources.root, PurePath(), shown=sources.shown)
        self.sha256 = self._images.mix_into(sources.sha256)
        self.variables = variables
        self.parts = frozenset(parts) | ({"text"} if text_of is not None else frozenset())
        self.derives_text = text_of is not None
        self._text_of = text_of
        self._sources = sources
        self._parts = {part: Part(source) for part, source in parts.items()}
        self._blocks = Blocks()
        self._headers = [part for part in parts if part.startswith("headers.")]
        self._attachments = [part for part in parts if part.startswith("attachments.")]
        self._max_part = max_part

    def render(self, context: Mapping[str, object], *, row: int | None, where: str) -> Rendered:
        """Render all parts for one row.

        Args:
            context: Plain data by name: text, numbers, booleans, None, and lists and dicts of them. A name with spaces
                is also reachable with `_`. What the campaign's unsubscribe URL comes to is added to it.
            row: The number of the row, for the error to carry.
            where: What the row comes from, for the error to carry as `source`.

        Raises:
            RowRenderError: E301 the row lacks a variable; E303 it names a template that is not there; E305 it has a
                value that the template cannot work with; E307 it takes too much time or text.
            TemplateError: E304 the template does what none may do.
        """
        contents: dict[str, str] = {}
        name = next(iter(self._parts.values())).name
        try:
            variables = _plain(context)
            with metering.limited_to(seconds=MAX_SECONDS, characters=8 * self._max_part):
                for part, source in self._parts.items():
                    name = source.name
                    contents[part] = self._render_part(part, source, variables)
                if self._text_of is not None:
                    shaper, derive = self._text_of
                    shape = shaper.shape(variables, contents["html"])
                    contents["text"] = derive(shape.shape, shape.values)
        except Exception as error:
            explained = self._explain(error, self._find_spot(error, name), context, row, where)
            raise explained from (None if explained is error else error)
        return Rendered(
            subject=contents["subject"],
            text=contents.get("text"),
            html=contents.get("html"),
            to=contents.get("to"),
            cc=contents.get("cc"),
            bcc=contents.get("bcc"),
            reply_to=contents.get("reply_to"),
            headers=tuple((part.removeprefix("headers."), contents[part]) for part in self._headers),
            unsubscribe_url=contents.get("unsubscribe_url"),
            attachments=tuple(contents[part] for part in self._attachments if contents[part]),
        )

    def find_image(self, name: str) -> Attached:
        """The image that the HTML part shows by `cid:NAME`. Raises `TemplateError` E309 with its line."""
        try:
            return self._images.find(name)
        except TemplateError as error:
            html = self._parts["html"].name
            error.where = error.where or self._sources.find(f"cid:{name}", html) or self._sources.find("cid:", html)
            raise

    def find_attachment(self, path: str) -> str | None:
        """The setting that may have rendered `path`, as errors show places."""
        for name in (self._parts[part].name for part in self._attachments):
            pieces = _JINJA.split(self._sources.text(name) or "")
            if re.fullmatch(".*".join(map(re.escape, pieces)).strip(), path) is not None:
                return self._sources.spot(name, 1).show()
        return None

    def _render_part(self, part: str, source: Part, variables: dict[str, object]) -> str:
        pieces = source.write(variables)
        if (length := sum(map(len, pieces))) > self._max_part:
            raise BudgetExceededError(f"makes {length} characters, at most {self._max_part} are possible")
        if part in ("text", "html"):
            return self._blocks.body(pieces)
        # The line ends around it are the template's. One inside is a value's, and not ours to hide.
        line = "".join(pieces).strip(" \t\n")
        if part == "unsubscribe_url":
            variables[part] = line
        return line

    def _find_spot(self, error: Exception, name: str) -> Spot:
        """The innermost line of a template that the error went through, else the template `name` as a whole."""
        spot = self._sources.spot(name, 0)
        for frame, line in walk_tb(error.__traceback__):
            if self._sources.text(frame.f_code.co_filename) is not None:
                spot = self._sources.spot(frame.f_code.co_filename, line)
        return spot

    def _explain(
        self, error: Exception, spot: Spot, context: Mapping[str, object], row: int | None, where: str
    ) -> TemplateError:
        """What went wrong, in the words of the template."""
        said = sanitise(str(error))
        cause = f"{type(error).__name__}: {said}"
        at_row = partial(RowRenderError, spot=spot, row=row, source=where, cause=cause)
        match error:
            case TemplateError():
                error.where = error.where or spot.show()
                return error
            case MissingError():
                variable = _find_dotted(error, spot)
                kind, known = ("columns", context) if error.owner is None else ("it has", error.owner)
                why, hint = explain_missing(variable, known if isinstance(known, Mapping) else (), kind)
                return at_row("E301", f"the template needs {variable}", variable=variable, why=why, hint=hint)
            case UndefinedError():
                return at_row("E301", f"the template needs what is not there: {said}")
            case SecurityError():
                message = f"the template does what none may do: {said}"
                hint = "prepare the value in the list, and only show it in the template"
                return TemplateError("E304", message, where=spot.show(), hint=hint, cause=cause)
            case BudgetExceededError():
                return at_row("E307", f"the template {said}")
            case RecursionError() | MemoryError() | OverflowError():
                return at_row("E307", "the template does more than any message needs")
            case TemplateNotFound():
                near = get_close_matches(said, self._sources.names, n=1)
                message = f"there is no template {said!r} below {self._sources.shown}"
                return at_row("E303", message, hint=f"did you mean {near[0]!r}?" if near else None)
            case _:
                return at_row("E305", f"the template cannot work with this row: {said}")


def _find_dotted(error: MissingError, spot: Spot) -> str:
    """`customer.city` rather than `city`, as the line has it."""
    if error.owner is None:
        return error.name
    dotted = re.search(rf"\w+(?:\.\w+)*\.{re.escape(error.name)}\b", spot.source_line)
    return dotted[0] if dotted else error.name


def _plain(context: Mapping[str, object]) -> dict[str, object]:
    """The context with `_` for spaces in names. Raises TypeError for anything but plain data."""
    # Read once: what comes is a view of several dictionaries, and slower than all that is done with it.
    given = dict(context)
    for name, value in given.items():
        if type(value) not in _SCALARS:
            _check_plain(name, value)
    spaced = {name.replace(" ", "_"): value for name, value in given.items() if " " in name}
    return spaced | given if spaced else given


def _check_plain(name: str, value: object) -> None:
    # By exact type: a subclass of str, such as Markup, would not be escaped.
    if type(value) is list:
        for item in value:
            _check_plain(name, item)
    elif type(value) is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise TypeError(f"{name} holds a {type(key).__name__} as a key")
            _check_plain(name, item)
    elif type(value) not in _SCALARS:
        raise TypeError(f"{name} holds a {type(value).__name__}, and templates get text, numbers, lists and dicts")

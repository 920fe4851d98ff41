"""Loading: a template folder read to the last include, compiled, and every mistake found before the first row."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from jinja2 import TemplateSyntaxError

from mailer.policy.headers import check_header_names
from mailer.policy.rendering import metering
from mailer.policy.rendering.needs import Reference, find_references, find_variables
from mailer.policy.rendering.sandbox import Sandbox
from mailer.policy.rendering.sources import Sources
from mailer.policy.rendering.template import MAX_PART, Template
from mailer.vocabulary.errors import TemplateError

_FILES = {"subject": "subject.txt", "text": "body.txt", "html": "body.html"}
_COMPILE_SECONDS = 30.0


def load_template(
    path: Path,
    *,
    root: Path | None = None,
    subject: str | None = None,
    to: str | None = None,
    reply_to: str | None = None,
    headers: Mapping[str, str] | None = None,
    unsubscribe_url: str | None = None,
    max_part: int = MAX_PART,
) -> Template:
    """Read and compile a template folder: `subject.txt`, `body.txt`, `body.html`, each with `.j2` or without.

    All is read now, rendering touches no file. The HTML part is autoescaped together with what it includes, nothing
    else is.

    Args:
        path: The folder.
        root: What includes may reach; by default the folder `templates` when `path` lies directly in it, else `path`.
        subject: Jinja2 that takes the place of the folder's subject.
        to: Jinja2, as are `reply_to`, `unsubscribe_url` and the values of `headers`.
        reply_to: See `to`.
        headers: Further headers by name.
        unsubscribe_url: See `to`; the bodies can use it as `unsubscribe_url`.
        max_part: Characters that a rendered part may have.

    Raises:
        TemplateError: E302 a syntax error; E303 a file that is missing, not UTF-8 or outside of the root; E306 a header
            that a campaign may not add.
    """
    check_header_names((*(headers or ()), *(["List-Unsubscribe"] if unsubscribe_url is not None else [])))
    fields = {"unsubscribe_url": unsubscribe_url, "subject": subject, "to": to, "reply_to": reply_to}
    settings = {part: (f"[campaign] {part}", text) for part, text in fields.items() if text is not None}
    settings |= {f"headers.{name}": (f"[campaign.headers] {name}", text) for name, text in (headers or {}).items()}
    root = root or (path.parent if path.parent.name == "templates" else path)
    sources = Sources(root, dict(settings.values()))
    # Settings come first: the bodies show the unsubscribe URL.
    names = {part: name for part, (name, _) in settings.items()}
    names |= _find_parts(sources, path, [part for part in _FILES if part not in names])
    _check_enough(path, names)
    return _compile(sources, names, max_part)


def _find_parts(sources: Sources, folder: Path, wanted: Iterable[str]) -> dict[str, str]:
    """The source of each wanted part that the folder has. Raises `TemplateError` E303."""
    if not folder.is_dir():
        siblings = [sibling.name for sibling in folder.parent.glob("*") if sibling.is_dir()]
        nearest = get_close_matches(folder.name, siblings, n=1)
        hint = f"did you mean {folder.parent / nearest[0]}?" if nearest else None
        raise TemplateError("E303", f"there is no template folder {folder}", hint=hint)
    if not folder.is_relative_to(sources.root):
        raise TemplateError("E303", f"the template folder {folder} is not below {sources.root}")
    below = folder.relative_to(sources.root)
    parts = {}
    for part in wanted:
        file = below / _FILES[part]
        for name in (f"{file.as_posix()}.j2", file.as_posix()):
            if part not in parts and sources.read(name) is not None:
                parts[part] = name
    return parts


def _check_enough(folder: Path, parts: Iterable[str]) -> None:
    if "subject" not in parts:
        hint = 'add it, or set subject = "..." in the campaign'
        raise TemplateError("E303", f"{folder} has no subject.txt.j2", hint=hint)
    if "text" not in parts and "html" not in parts:
        raise TemplateError("E303", f"{folder} has no body", hint="add body.txt.j2, body.html.j2, or both")


def _compile(sources: Sources, names: Mapping[str, str], max_part: int) -> Template:
    plain, escaping = Sandbox(sources, autoescape=False), Sandbox(sources, autoescape=True)
    parts = {}
    with metering.limited_to(seconds=_COMPILE_SECONDS, characters=8 * max_part):
        for name in _follow(plain, sources, names.values()):
            with _explained(sources, name):
                plain.get_template(name)
        for part, name in names.items():
            parts[part] = (escaping if part == "html" else plain).get_template(name)
        needed = frozenset[str]().union(*(find_variables(plain, sources, name) for name in names.values()))
    variables = needed - {"unsubscribe_url"} if "unsubscribe_url" in names else needed
    return Template(sources, parts, variables, max_part)


def _follow(environment: Sandbox, sources: Sources, names: Iterable[str]) -> list[str]:
    """Read all that the sources `names` refer to; return it with them. Raises `TemplateError` E302 or E303."""
    reached = list(dict.fromkeys(names))
    for name in reached:
        with _explained(sources, name):
            tree = environment.parse(sources.text(name) or "", name, name)
        for reference in find_references(tree):
            try:
                found = _read_reference(sources, reference)
            except TemplateError as error:
                error.where = sources.spot(name, reference.line).show()
                raise
            reached += (other for other in found if other not in reached)
    return reached


@contextmanager
def _explained(sources: Sources, name: str) -> Iterator[None]:
    """Turn what Jinja2 or Python say about the template `name` into `TemplateError` E302."""
    try:
        yield
    except TemplateSyntaxError as error:
        where = sources.spot(name, error.lineno).show()
        raise TemplateError("E302", f"the template has a syntax error: {error.message}", where=where) from error
    except (RecursionError, MemoryError, SyntaxError) as error:
        where, cause = sources.spot(name, 0).show(), f"{type(error).__name__}: {error}"
        raise TemplateError("E302", "the template is nested too deeply", where=where, cause=cause) from error


def _read_reference(sources: Sources, reference: Reference) -> list[str]:
    if reference.names is None:
        sources.read_all()
        return []
    found = [name for name in reference.names if sources.read(name) is not None]
    if not found and not reference.is_optional:
        wanted = " or ".join(reference.names)
        raise TemplateError("E303", f"there is no {wanted} below {sources.root}", why="Names begin at that folder.")
    return found

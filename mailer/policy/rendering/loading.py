"""Loading: a template folder read to the last include, compiled, and every mistake found before the first row."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path, PurePath

from jinja2 import TemplateSyntaxError

from mailer.policy.headers import check_header_names
from mailer.policy.rendering import metering
from mailer.policy.rendering.files import nearest_name
from mailer.policy.rendering.images import Images, names_in
from mailer.policy.rendering.memory import Memory
from mailer.policy.rendering.needs import Reference, find_references, find_variables
from mailer.policy.rendering.sandbox import Sandbox
from mailer.policy.rendering.shape import Shaper
from mailer.policy.rendering.sources import Sources
from mailer.policy.rendering.syntax import mend_syntax
from mailer.policy.rendering.template import MAX_PART, DeriveText, Template
from mailer.vocabulary.errors import TemplateError

_FILES = {"subject": "subject.txt", "text": "body.txt", "html": "body.html"}
_COMPILE_SECONDS = 30.0
_references = Memory[tuple[Reference, ...]]()
_variables = Memory[frozenset[str]]()


def load_template(
    path: Path,
    *,
    root: Path | None = None,
    subject: str | None = None,
    to: str | None = None,
    cc: str | None = None,
    bcc: str | None = None,
    reply_to: str | None = None,
    headers: Mapping[str, str] | None = None,
    unsubscribe_url: str | None = None,
    attachments: Sequence[str] = (),
    shown: PurePath | None = None,
    derive_text: DeriveText | None = None,
    max_part: int = MAX_PART,
) -> Template:
    """Read and compile a template folder: `subject.txt`, `body.txt`, `body.html`, each with `.j2` or without.

    All is read now, rendering touches no file. The HTML part is autoescaped together with what it includes, nothing
    else is.

    Args:
        path: The folder.
        root: What includes may reach; by default the folder `templates` when `path` lies directly in it, else `path`.
        subject: Jinja2 that takes the place of the folder's subject.
        to: Jinja2, as are `cc`, `bcc`, `reply_to`, `unsubscribe_url`, `attachments` and the values of `headers`.
        cc: See `to`.
        bcc: See `to`.
        reply_to: See `to`.
        headers: Further headers by name.
        unsubscribe_url: See `to`; the bodies can use it as `unsubscribe_url`.
        attachments: Paths, see `to`.
        shown: The folder as a person calls it, and as errors do; by default `path`.
        derive_text: Makes the text part where the folder has only an HTML part.
        max_part: Characters that a rendered part may have.

    Raises:
        TemplateError: E302 a syntax error; E303 a file that is missing, not UTF-8 or outside of the root; E306 a header
            that a campaign may not add; E309 an image that is not there.
    """
    check_header_names((*(headers or ()), *(["List-Unsubscribe"] if unsubscribe_url is not None else [])))
    fields = {"unsubscribe_url": unsubscribe_url, "subject": subject, "to": to, "cc": cc, "bcc": bcc}
    fields["reply_to"] = reply_to
    settings = {part: (f"[campaign] {part}", text) for part, text in fields.items() if text is not None}
    settings |= {f"headers.{name}": (f"[campaign.headers] {name}", text) for name, text in (headers or {}).items()}
    settings |= {f"attachments.{at}": (f"[campaign] attachments[{at}]", text) for at, text in enumerate(attachments)}
    root = root or (path.parent if path.parent.name == "templates" else path)
    sources = Sources(root, dict(settings.values()), shown=_show_root(path if shown is None else shown, path, root))
    # Settings come first: the bodies show the unsubscribe URL.
    names = {part: name for part, (name, _) in settings.items()}
    names |= _find_parts(sources, path, [part for part in _FILES if part not in names])
    _check_enough(path if shown is None else shown, names)
    images = Images(root, path.relative_to(root), shown=sources.shown)
    return _compile(sources, names, images, max_part, derive_text if "text" not in names else None)


def _show_root(shown: PurePath, path: Path, root: Path) -> PurePath:
    """The root, as somebody calls it who calls the folder `path` below it `shown`."""
    if not path.is_relative_to(root):
        return root
    for _ in path.relative_to(root).parts:
        shown = shown.parent
    return shown


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


def _check_enough(folder: PurePath, parts: Iterable[str]) -> None:
    if "subject" not in parts:
        hint = 'add it, or set subject = "..." in the campaign'
        raise TemplateError("E303", f"{folder} has no subject.txt.j2", hint=hint)
    if "text" not in parts and "html" not in parts:
        raise TemplateError("E303", f"{folder} has no body", hint="add body.txt.j2, body.html.j2, or both")


def _compile(
    sources: Sources, names: Mapping[str, str], images: Images, max_part: int, derive_text: DeriveText | None
) -> Template:
    plain, escaping = Sandbox(sources, autoescape=False), Sandbox(sources, autoescape=True)
    parts = {}
    with metering.limited_to(seconds=_COMPILE_SECONDS, characters=8 * max_part):
        for name in follow(plain, sources, names.values()):
            with explained(sources, name):
                plain.get_template(name)
        for part, name in names.items():
            parts[part] = (escaping if part == "html" else plain).get_template(name)
        needed = _variables.recall(
            (sources.sha256, *names.values()),
            lambda: frozenset[str]().union(*(find_variables(plain, sources, name) for name in names.values())),
        )
        if "html" in names:
            _find_images(sources, follow(plain, sources, [names["html"]]), images)
        text_of = (Shaper(sources, names["html"]), derive_text) if derive_text is not None else None
    variables = needed - {"unsubscribe_url"} if "unsubscribe_url" in names else needed
    return Template(sources, parts, variables, max_part, images=images, text_of=text_of)


def _find_images(sources: Sources, names: Iterable[str], images: Images) -> None:
    """Look for the images that the HTML names itself, before the first row. Raises `TemplateError` E309."""
    for name in names:
        for image in names_in(sources.text(name) or ""):
            try:
                images.find(image)
            except TemplateError as error:
                error.where = error.where or sources.find(f"cid:{image}", name) or sources.spot(name, 0).show()
                raise


def follow(environment: Sandbox, sources: Sources, names: Iterable[str]) -> list[str]:
    """Read all that the sources `names` refer to; return it with them. Raises `TemplateError` E302 or E303."""
    reached = list(dict.fromkeys(names))
    for name in reached:
        with explained(sources, name):
            references = _find_references(environment, sources.text(name) or "", name)
        for reference in references:
            try:
                found = _read_reference(sources, reference)
            except TemplateError as error:
                error.where = sources.spot(name, reference.line).show()
                raise
            reached += (other for other in found if other not in reached)
    return reached


def _find_references(environment: Sandbox, text: str, name: str) -> tuple[Reference, ...]:
    return _references.recall(text, lambda: tuple(find_references(environment.parse(text, name, name))))


@contextmanager
def explained(sources: Sources, name: str) -> Iterator[None]:
    """Turn what Jinja2 or Python say about the template `name` into `TemplateError` E302."""
    try:
        yield
    except TemplateSyntaxError as error:
        spot, said = sources.spot(name, error.lineno), error.message or "it cannot be read"
        hint = mend_syntax(said, spot.source_line)
        raise TemplateError("E302", f"the template has a syntax error: {said}", where=spot.show(), hint=hint) from error
    except (RecursionError, MemoryError, SyntaxError) as error:
        where, cause = sources.spot(name, 0).show(), f"{type(error).__name__}: {error}"
        hint = 'move what is nested into parts of their own: {% include "part.html.j2" %}'
        raise TemplateError("E302", "the template is nested too deeply", where=where, hint=hint, cause=cause) from error


def _read_reference(sources: Sources, reference: Reference) -> list[str]:
    if reference.names is None:
        sources.read_all()
        return []
    found = [name for name in reference.names if sources.read(name) is not None]
    if not found and not reference.is_optional:
        wanted = " or ".join(reference.names)
        near = nearest_name(sources.root, reference.names[0]) if reference.names else None
        hint = f'"{near}"' if near else f"write {(sources.shown / reference.names[0]).as_posix()}, or take the line out"
        message, why = f"there is no {wanted} below {sources.shown}", "Names begin at that folder."
        raise TemplateError("E303", message, why=why, hint=hint)
    return found

"""Loading: a letter and the settings put over it, read to the last include and compiled before the first row."""

from pathlib import Path, PurePath

from mailer.policy.headers import check_header_names
from mailer.policy.letter.sandbox import LetterSandbox
from mailer.policy.rendering import Template, metering
from mailer.policy.rendering.images import Images
from mailer.policy.rendering.loading import explained, follow
from mailer.policy.rendering.needs import find_variables
from mailer.policy.rendering.sandbox import Sandbox
from mailer.policy.rendering.sources import Sources
from mailer.policy.rendering.template import MAX_PART
from mailer.vocabulary.errors import TemplateError
from mailer.vocabulary.settings import CampaignSettings

_COMPILE_SECONDS = 30.0


def load_letter(path: Path, settings: CampaignSettings) -> tuple[Template, Sources]:
    """The letter as the `text` of a template, and the settings as other parts; rows' values are enclosed in both.

    Includes reach what lies below the folder of the file.

    Raises:
        TemplateError: E302 a syntax error; E303 a file that is missing, not UTF-8 or outside; E306 a header that a
            campaign may not add.
    """
    check_header_names(tuple(settings.headers))
    # The unsubscribe URL comes first: the letter shows it.
    texts = {"unsubscribe_url": settings.unsubscribe_url, "to": settings.to, "cc": settings.cc, "bcc": settings.bcc}
    texts |= {"reply_to": settings.reply_to, "subject": settings.subject or ""}
    parts = {part: (f"[campaign] {part}", text) for part, text in texts.items() if text is not None}
    parts |= {f"headers.{name}": (f"[campaign.headers] {name}", text) for name, text in settings.headers.items()}
    parts |= {
        f"attachments.{at}": (f"[campaign] attachments[{at}]", text) for at, text in enumerate(settings.attachments)
    }
    sources = Sources(path.parent, dict(parts.values()))
    if sources.read(path.name) is None:
        raise TemplateError("E303", f"there is no template {path}")
    names = {part: name for part, (name, _) in parts.items()} | {"text": path.name}
    return _compile(sources, names), sources


def _compile(sources: Sources, names: dict[str, str]) -> Template:
    plain, letters = Sandbox(sources, autoescape=False), LetterSandbox(sources)
    with metering.limited_to(seconds=_COMPILE_SECONDS, characters=8 * MAX_PART):
        for name in follow(plain, sources, names.values()):
            with explained(sources, name):
                plain.get_template(name)
        # The URL is given to the letter, which encloses it itself.
        parts = {
            part: (plain if part == "unsubscribe_url" else letters).get_template(name) for part, name in names.items()
        }
        needed = frozenset[str]().union(*(find_variables(plain, sources, name) for name in names.values()))
    variables = needed - {"unsubscribe_url"} if "unsubscribe_url" in names else needed
    # The images of a letter are among its attachments.
    no_images = Images(sources.root, PurePath(), shown=sources.shown)
    return Template(sources, parts, variables, MAX_PART, images=no_images)

"""The files that a preview follows: whatever the messages of a campaign are made of, as far as it can be known."""

import re
from collections.abc import Iterable, Iterator
from glob import escape, iglob
from itertools import islice
from os.path import join
from pathlib import Path

from mailer.flow.preparation import template_path
from mailer.policy.letter.header_section import written_header, written_values
from mailer.vocabulary.errors import MailerError
from mailer.vocabulary.settings import CampaignSettings

MOST_ATTACHED = 1_000
"""Files that are followed for one path in which a value of the row stands."""
MOST_PARTS = 100
"""Files that a letter is put together of."""

_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_PART = re.compile(r"""\{%[-+]?\s*(?:extends|from|import|include)\s+["']([^"'\n]+)["']""")


def list_files(spec: str, base: Path) -> Iterator[Path]:
    """The file of the list, whatever else stands in `recipients`: a sheet behind `#`, a name behind `:`."""
    for name in {spec, spec.partition("#")[0], spec.rpartition(":")[0]} - {"", "-"}:
        yield base / name


def template_files(campaign: CampaignSettings, base: Path, attachments: Path) -> Iterator[Path]:
    """The template with what it includes, and what its messages carry. `attachments` is where a folder's lie."""
    if not campaign.template:
        return
    yield base / "templates"
    try:
        template = template_path(campaign.template, base)
    except MailerError:
        yield base / campaign.template
        return
    patterns = list(campaign.attachments)
    if template.is_file():
        attachments = template.parent
        for part, text in letter_parts(template):
            yield part
            patterns += written_values(written_header(text), "attachment")
    else:
        yield template
    yield from attached_files(patterns, attachments)


def letter_parts(letter: Path) -> Iterator[tuple[Path, str]]:
    """The letter and all that it includes by name, directly or not, each with its text; what is missing has none."""
    waiting, seen = [letter.name], set[str]()
    while waiting and len(seen) < MOST_PARTS:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        path = letter.parent / name
        try:
            # Nothing but a regular file: another kind may keep its reader waiting.
            text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        except (OSError, ValueError):
            text = ""
        yield path, text
        waiting += _PART.findall(text)


def attached_files(patterns: Iterable[str], base: Path) -> Iterator[Path]:
    """The files below `base` that these paths may name; where a value of the row stands, anything may."""
    for pattern in patterns:
        fixed = [escape(text) for text in _JINJA.split(pattern.strip())]
        if len(fixed) == 1:
            yield base / pattern.strip()
        else:
            yield from map(Path, islice(iglob(join(escape(str(base)), "*".join(fixed))), MOST_ATTACHED))

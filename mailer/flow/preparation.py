"""From settings to a campaign that can be built: template, sender, source, and the hash of its content."""

import hashlib
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mailer import __version__
from mailer.interfaces.composer import Attach, Composer
from mailer.interfaces.rendering import StartRenderers
from mailer.interfaces.source import RecipientSource
from mailer.policy.addressing import Address, AddressError, parse_address, parse_sender
from mailer.policy.columns import find_email_column
from mailer.policy.forms.folder import folder_form
from mailer.policy.header_values import UnsafeValueError
from mailer.vocabulary.campaign import Campaign
from mailer.vocabulary.errors import SourceError, TemplateError, UsageError
from mailer.vocabulary.settings import CampaignSettings, DeliverySettings, SmtpSettings

BUILT_IN = frozenset({"campaign", "row", "token", "unsubscribe_url"})
"""Variables a template has besides the columns of the row."""

OpenSource = Callable[[str, Path, tuple[str, ...]], RecipientSource]
"""Opens what `recipients` names, relative to a folder, given the columns that are needed."""
AttachBelow = Callable[[Path], Attach]
"""Finds attachments below a folder and nowhere else."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_SENDER = 'sender = "Acme News <news@acme.example>"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Everything that building messages needs, and the proposal for the ledger (its id is given there).

    With `test_to` every message goes to that address alone.
    """

    settings: CampaignSettings
    delivery: DeliverySettings
    source: RecipientSource
    composer: Composer
    proposal: Campaign
    template: Path
    attachments: Path
    """Where the composer was loaded from: another process loads the same."""
    token_secret: bytes | None = None
    test_to: Address | None = None
    renderers: StartRenderers | None = None
    """Starts other processes that render, where there are to be any."""
    waits_for_renderers: bool = False
    """They were asked for: they render from the first row on, and of however few."""

    @property
    def is_resumable(self) -> bool:
        """True when the source can be read again and is known to be the same."""
        return self.source.content_hash is not None


def prepare(
    settings: CampaignSettings,
    smtp: SmtpSettings,
    delivery: DeliverySettings,
    *,
    base: Path,
    attachments: Path,
    open_source: OpenSource,
    attach_below: AttachBelow,
    ca_pem: str | None,
    now_ms: int,
    token_secret: bytes | None = None,
    new: bool = False,
    append: bool = False,
    test_to: str | None = None,
) -> Prepared:
    """Load and check all that does not depend on a row.

    `base` is where the template is looked for, `attachments` the folder that attached files lie below. `new` makes
    another campaign even of content that was accepted before; with `test_to` it is one of its own, too, and goes to
    that address alone.

    Raises:
        UsageError: E105 a setting is missing, E101 one is wrong or `append` is asked for without a key, E133 the
            template uses `token` without its secret.
        TemplateError: E3xx the template cannot be used.
        SourceError: E2xx the list cannot be read, or lacks a column that the template needs.
    """
    recipients = _required(settings.recipients, "campaign.recipients", 'recipients = "recipients.csv"')
    template_spec = _required(settings.template, "campaign.template", 'template = "hello"')
    template = template_path(template_spec, base)
    name = settings.name or _name_from(template)
    if _NAME.fullmatch(name) is None:
        raise UsageError("E101", f"{name!r} is no campaign name", hint="letters, digits and '-', at most 64")
    tester = _tester(test_to) if test_to is not None else None
    if tester is not None:
        # Nobody but the tester gets anything, and his address is the one in To.
        name, settings = f"{name[:59]}-test", replace(settings, to=None, cc=None, bcc=None)
    composer, sender_text = make_composer(template, settings, attachments, attach_below)
    _, sender = _sender(sender_text, "campaign.sender")
    envelope_sender = (
        _sender(settings.envelope_sender, "campaign.envelope_sender")[1] if settings.envelope_sender else sender
    )
    needed = tuple(sorted(composer.variables - BUILT_IN))
    email = () if composer.names_recipients else (settings.email_column,)
    source = _source(open_source, recipients, base, email, needed)
    _check_columns(source, email, needed, composer)
    if "token" in composer.variables and token_secret is None and "token" not in (source.columns or ()):
        raise UsageError(
            "E133",
            "the template uses {{ token }}, and there is no secret to make it with",
            hint="MAILER_TOKEN_SECRET_FILE=/run/secrets/token   (openssl rand -hex 32 makes one)",
        )
    if append and settings.key is None:
        raise UsageError(
            "E101",
            "a list can be appended only under a key",
            why="Without one the list itself makes the campaign, and another list another campaign.",
            hint="--key NAME (in a program: key=…), the same as for the first list",
            safe="Nothing was accepted.",
        )
    keeps_duplicates = settings.duplicates == "keep" or tester is not None
    fingerprint = _hash(
        composer.sha256,
        sender_text,
        envelope_sender.addr_spec,
        settings.email_column,
        settings.duplicates,
        settings.inline_css,
        source.content_hash,
    )
    proposal = Campaign(
        id="",
        name=name,
        key=_key(settings.key, name, fingerprint, source, another=new or tester is not None),
        fingerprint=fingerprint,
        template=_shown(template, template_spec),
        template_sha256=composer.sha256,
        sender=sender_text,
        reverse_path=envelope_sender.addr_spec,
        source=source.name,
        smtp=replace(smtp, ca_file=None),
        delivery=delivery,
        salt=secrets.token_hex(16),
        created_ms=now_ms,
        version=__version__,
        ca_pem=ca_pem,
        keeps_duplicates=keeps_duplicates,
    )
    return Prepared(
        settings=settings,
        delivery=delivery,
        source=source,
        composer=composer,
        proposal=proposal,
        template=template,
        attachments=attachments,
        token_secret=token_secret,
        test_to=tester,
    )


def template_path(spec: str, base: Path) -> Path:
    """What `template` names: a folder under `templates/`, or a folder or a file, all relative to `base`."""
    for candidate in (base / "templates" / spec, base / spec):
        if candidate.is_dir() or candidate.is_file():
            return candidate
    raise TemplateError(
        "E303",
        f"no template {spec!r}",
        where=str(base / "templates" / spec),
        why="There is no such folder or file.",
        hint="a template is a folder with subject.txt.j2, body.txt.j2 and body.html.j2, or a single file",
    )


def _shown(template: Path, spec: str) -> str:
    """What the campaign's record calls the template: no more of a path than was written."""
    return template.name if Path(spec).is_absolute() else spec


def make_composer(
    template: Path, settings: CampaignSettings, attachments: Path, attach_below: AttachBelow
) -> tuple[Composer, str]:
    """The template in its form, and the text of the sender. Raises as `prepare`."""
    try:
        if template.is_file():
            # The rarer form: whoever has a folder need not load it.
            from mailer.policy.forms.letter import letter_form

            letter = letter_form(template, settings=settings, attach=attach_below(template.parent))
            return letter, _required(
                settings.sender or letter.sender or settings.envelope_sender, "campaign.sender", _SENDER
            )
        sender = _required(settings.sender, "campaign.sender", _SENDER)
        display_name, address = _sender(sender, "campaign.sender")
        mailbox = f'"{_escaped(display_name)}" <{address.addr_spec}>' if display_name else address.addr_spec
        return folder_form(template, settings=settings, sender=mailbox, attach=attach_below(attachments)), sender
    except UnsafeValueError as error:
        raise UsageError("E101", f"campaign.sender or campaign.list_id cannot go into a header: {error}") from error


def _source(
    open_source: OpenSource, recipients: str, base: Path, email: tuple[str, ...], needed: tuple[str, ...]
) -> RecipientSource:
    """The list. Its delimiter is found by the column with the address, else by those that the template needs."""
    try:
        return open_source(recipients, base, email or needed)
    except SourceError as error:
        if error.code != "E203" or email:
            raise
    # It lacks one of them: which, and where the template needs it, is told better once it is open.
    return open_source(recipients, base, ())


def _sender(text: str, key: str) -> tuple[str | None, Address]:
    try:
        return parse_sender(text)
    except AddressError as error:
        raise UsageError("E101", f"{key} {text!r} is no address: {error}") from error


def _tester(text: str) -> Address:
    try:
        return parse_address(text)
    except AddressError as error:
        raise UsageError("E101", f"--test-to {text!r} is no address: {error}") from error


def _check_columns(
    source: RecipientSource, email: tuple[str, ...], needed: tuple[str, ...], composer: Composer
) -> None:
    """Refuse a list that lacks a column for the address or for the template, as far as its header tells."""
    if source.columns is None:
        return
    for column in email:
        if find_email_column(source.columns, column) is None:
            raise SourceError(
                "E203",
                f"{source.name} has no column {column!r}",
                why=f"columns: {', '.join(source.columns)}",
                hint='name it with email_column = "…"',
            )
    known = {*source.columns, *(column.replace(" ", "_") for column in source.columns)}
    missing = [name for name in needed if name not in known]
    if missing:
        where = composer.first_lack(source.columns, source.name) or source.name
        lacking = next((name for name in missing if name in where), missing[0])
        raise TemplateError(
            "E301",
            f"{source.name} has no column {lacking!r}, which the template needs",
            where=where,
            why=f"columns: {', '.join(source.columns)}",
            hint=f'add the column, or write {{{{ {lacking} | default("…") }}}}',
            safe="Nothing was accepted and nothing was sent.",
        )


def _required(value: str | None, key: str, example: str) -> str:
    if not value:
        raise UsageError("E105", f"{key} is not set", hint=f"{example} in mailer.toml")
    return value


def _name_from(template: Path) -> str:
    resolved = template.resolve()
    name = resolved.stem if template.is_file() else resolved.name
    return re.sub(r"[^A-Za-z0-9-]+", "-", name).strip("-") or "campaign"


def _hash(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()


def _key(given: str | None, name: str, fingerprint: str, source: RecipientSource, *, another: bool) -> str:
    if given is None and source.content_hash is None:
        return f"once:{secrets.token_hex(16)}"
    key = given or f"content:{_hash(name, fingerprint)[:32]}"
    return f"{key}:{secrets.token_hex(8)}" if another else key


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')

"""From settings to a campaign that can be built: template, sender, source, and the hash of its content."""

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mailer import __version__
from mailer.interfaces.source import RecipientSource
from mailer.policy.addressing import Address, AddressError, parse_sender
from mailer.policy.columns import find_email_column
from mailer.policy.header_values import UnsafeValueError
from mailer.policy.message import Skeleton
from mailer.policy.rendering import RowRenderError, Template, load_template
from mailer.vocabulary.campaign import Campaign
from mailer.vocabulary.errors import SourceError, TemplateError, UsageError
from mailer.vocabulary.settings import CampaignSettings, DeliverySettings, SmtpSettings

BUILT_IN = frozenset({"campaign", "row", "unsubscribe_url"})
"""Variables a template has besides the columns of the row."""

OpenSource = Callable[[str, Path, tuple[str, ...]], RecipientSource]
"""Opens what `recipients` names, relative to a folder, given the columns that are needed."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Everything that building messages needs, and the proposal for the ledger (its id is given there)."""

    settings: CampaignSettings
    delivery: DeliverySettings
    source: RecipientSource
    template: Template
    skeleton: Skeleton
    proposal: Campaign

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
    open_source: OpenSource,
    ca_pem: str | None,
    now_ms: int,
) -> Prepared:
    """Load and check all that does not depend on a row.

    Raises:
        UsageError: E105 a setting is missing, E101 one is wrong.
        TemplateError: E3xx the template cannot be used.
        SourceError: E2xx the list cannot be read, or lacks a column that the template needs.
    """
    template_spec = _required(settings.template, "campaign.template", 'template = "hello"')
    sender_text = _required(settings.sender, "campaign.sender", 'sender = "Acme News <news@acme.example>"')
    recipients = _required(settings.recipients, "campaign.recipients", 'recipients = "recipients.csv"')
    folder = template_folder(template_spec, base)
    name = settings.name or _name_from(folder)
    if _NAME.fullmatch(name) is None:
        raise UsageError("E101", f"{name!r} is no campaign name", hint="letters, digits and '-', at most 64")
    try:
        display_name, sender = parse_sender(sender_text)
        envelope_sender = parse_sender(settings.envelope_sender)[1] if settings.envelope_sender else sender
    except AddressError as error:
        raise UsageError("E101", f"campaign.sender {sender_text!r} is no address: {error}") from error
    template = load_template(
        folder,
        subject=settings.subject,
        to=settings.to,
        reply_to=settings.reply_to,
        headers=settings.headers,
        unsubscribe_url=settings.unsubscribe_url,
    )
    needed = tuple(sorted(template.variables - BUILT_IN))
    source = open_source(recipients, base, (settings.email_column,))
    check_columns(source, settings.email_column, needed, template)
    fingerprint = _hash(
        template.sha256,
        display_name,
        sender.addr_spec,
        envelope_sender.addr_spec,
        settings.list_id,
        settings.email_column,
        settings.duplicates,
        source.content_hash,
    )
    proposal = Campaign(
        id="",
        name=name,
        key=settings.key or _content_key(name, fingerprint, source),
        fingerprint=fingerprint,
        template=template_spec,
        template_sha256=template.sha256,
        sender=sender_text,
        reverse_path=envelope_sender.addr_spec,
        source=source.name,
        smtp=replace(smtp, ca_file=None),
        delivery=delivery,
        salt=secrets.token_hex(16),
        created_ms=now_ms,
        version=__version__,
        ca_pem=ca_pem,
    )
    return Prepared(
        settings=settings,
        delivery=delivery,
        source=source,
        template=template,
        skeleton=_skeleton(settings, display_name, sender, template, fingerprint),
        proposal=proposal,
    )


def template_folder(spec: str, base: Path) -> Path:
    """The folder that `template` names: a folder under `templates/`, or a path, both relative to `base`."""
    for candidate in (base / "templates" / spec, base / spec):
        if candidate.is_dir():
            return candidate
    raise TemplateError(
        "E303",
        f"no template {spec!r}",
        where=str(base / "templates" / spec),
        why="There is no such folder.",
        hint="a template is a folder with subject.txt.j2, body.txt.j2 and body.html.j2",
    )


def check_columns(source: RecipientSource, email_column: str, needed: tuple[str, ...], template: Template) -> None:
    """Refuse a list that lacks a column for the address or for the template, as far as its header tells."""
    if source.columns is None:
        return
    if find_email_column(source.columns, email_column) is None:
        raise SourceError(
            "E203",
            f"{source.name} has no column {email_column!r}",
            why=f"columns: {', '.join(source.columns)}",
            hint='name it with email_column = "…"',
        )
    known = {*source.columns, *(column.replace(" ", "_") for column in source.columns)}
    missing = [name for name in needed if name not in known]
    if missing:
        raise TemplateError(
            "E301",
            f"{source.name} has no column {missing[0]!r}, which the template needs",
            where=_first_use(template, source) or source.name,
            why=f"columns: {', '.join(source.columns)}",
            hint=f'add the column, or write {{{{ {missing[0]} | default("…") }}}}',
            safe="Nothing was accepted and nothing was sent.",
        )


def _first_use(template: Template, source: RecipientSource) -> str | None:
    """File and line of the template where a row of this list would fail first, as an empty row shows it."""
    try:
        context = dict.fromkeys(source.columns or (), "")
        template.render({**context, **dict.fromkeys(BUILT_IN, "")}, row=None, where=source.name)
    except RowRenderError as error:
        return error.where if error.code == "E301" else None
    return None


def _required(value: str | None, key: str, example: str) -> str:
    if not value:
        raise UsageError("E105", f"{key} is not set", hint=f"{example} in mailer.toml")
    return value


def _name_from(folder: Path) -> str:
    return re.sub(r"[^A-Za-z0-9-]+", "-", folder.resolve().name).strip("-") or "campaign"


def _hash(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()


def _content_key(name: str, fingerprint: str, source: RecipientSource) -> str:
    if source.content_hash is None:
        return f"once:{secrets.token_hex(16)}"
    return f"content:{_hash(name, fingerprint)[:32]}"


def _skeleton(
    settings: CampaignSettings, display_name: str | None, sender: Address, template: Template, seed: str
) -> Skeleton:
    name = f'"{_escaped(display_name)}" <{sender.addr_spec}>' if display_name else sender.addr_spec
    try:
        return Skeleton(
            sender=name,
            seed=seed,
            has_text="text" in template.parts,
            has_html="html" in template.parts,
            list_id=settings.list_id,
        )
    except UnsafeValueError as error:
        raise UsageError("E101", f"campaign.sender or campaign.list_id cannot go into a header: {error}") from error


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')


def context_of(columns: Mapping[str, object], *, campaign: str, row: int) -> dict[str, object]:
    """The variables a template sees for one row."""
    return {**columns, "campaign": campaign, "row": row}

"""The names of the settings: sections, keys, their environment variables and flags, and the nearest to a wrong one."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from difflib import get_close_matches

from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.settings import CampaignSettings, DeliverySettings, QueueSettings, SmtpSettings

DEFAULTS: Mapping[str, object] = {
    "campaign": CampaignSettings(),
    "smtp": SmtpSettings(),
    "queue": QueueSettings(),
    "delivery": DeliverySettings(),
}
"""Every section with all its settings at their default."""

KEYS: Mapping[str, object] = {
    f"{section}.{field.name}": getattr(defaults, field.name)
    for section, defaults in DEFAULTS.items()
    for field in fields(defaults)  # type: ignore[arg-type]  # they are dataclasses, each of another class
}
"""Every setting by its full name (`smtp.url`), with its default."""

SHORT_NAMES: Mapping[str, str] = {
    "MAILER_REDIS_URL": "queue.url",
    "MAILER_DATA_DIR": "queue.data_dir",
    "MAILER_SMTP_URL": "smtp.url",
    "MAILER_SMTP_CA_FILE": "smtp.ca_file",
}
"""Environment variables with a name of their own, besides `MAILER_<SECTION>__<KEY>`."""

VARIABLES: Mapping[str, str] = {
    **SHORT_NAMES,
    **{f"MAILER_{key.upper().replace('.', '__')}": key for key in KEYS},
}
"""Every environment variable that holds a setting."""

NOT_SETTINGS = frozenset(
    {
        "MAILER_CONFIG",
        "MAILER_DASHBOARD_TOKEN",
        "MAILER_FAILPOINTS",
        "MAILER_SMTP_PASSWORD",
        "MAILER_SMTP_PASSWORD_COMMAND",
        "MAILER_SMTP_PASSWORD_FILE",
        "MAILER_TOKEN_SECRET",
        "MAILER_TOKEN_SECRET_FILE",
    }
)
"""Environment variables that are read elsewhere: secrets, and where the user's file lies."""

FLAGS: Mapping[str, str] = {
    "campaign.template": "--template",
    "campaign.recipients": "--recipients",
    "campaign.key": "--key",
    "campaign.duplicates": "--duplicates",
    "smtp.url": "--smtp-url",
    "smtp.max_connections": "--connections",
    "delivery.rate": "--rate",
    "delivery.priority": "--priority",
}
"""The flags that do not simply repeat the key."""


def flag_of(key: str) -> str:
    """The flag that gives a setting: `--smtp-url` for `smtp.url`."""
    return FLAGS.get(key) or f"--{key.partition('.')[2].replace('_', '-')}"


def unknown_section(section: str, where: str) -> UsageError:
    """E101 for a table that is none of ours."""
    known = ", ".join(f"[{name}]" for name in DEFAULTS)
    nearest = _nearest(section, DEFAULTS)
    return UsageError(
        "E101",
        f"there is no section [{section}]",
        where=where,
        hint=f"did you mean [{nearest}]?" if nearest else f"the sections are {known}",
    )


def unknown_key(key: str, where: str) -> UsageError:
    """E101 for a key (`smtp.ulr`) that its section does not have, with the nearest that it or another one has."""
    section, _, name = key.partition(".")
    if "password" in name.lower():
        hint = "passwords come from the environment only: MAILER_SMTP_PASSWORD, or MAILER_SMTP_PASSWORD_FILE"
        return UsageError("E101", f"[{section}] takes no password", where=where, hint=hint)
    return UsageError("E101", f"[{section}] has no key {name}", where=where, hint=_key_hint(section, name))


def unknown_variable(name: str, where: str) -> UsageError:
    """E101 for an environment variable that looks like a setting and is none."""
    nearest = nearest_variable(name)
    hint = f"did you mean {nearest}?" if nearest else "mailer config show lists every setting"
    return UsageError("E101", f"{name} is not a setting", where=where, hint=hint)


def nearest_variable(name: str) -> str | None:
    """The known environment variable a name was probably meant to be, or None."""
    return _nearest(name.upper(), [*VARIABLES, *NOT_SETTINGS], cutoff=0.85)


def _key_hint(section: str, name: str) -> str:
    elsewhere = [key for key in KEYS if key.partition(".")[2] == name]
    if elsewhere:
        return f"{name} belongs to [{elsewhere[0].partition('.')[0]}]"
    own = [key.partition(".")[2] for key in KEYS if key.startswith(f"{section}.")]
    nearest = _nearest(name.lower().replace("-", "_"), own)
    return f"did you mean {nearest}?" if nearest else f"the keys of [{section}] are {', '.join(own)}"


def _nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=cutoff)), None)

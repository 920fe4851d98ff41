"""The configuration: every setting with its origin, merged and checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailer.vocabulary.settings import CampaignSettings, DeliverySettings, QueueSettings, SmtpSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What `load` found. No password is in it but perhaps the queue's, in a URL whose repr hides it.

    `base` is the folder of the campaign file, or the current one; `path` that file, as named, or None. `origin` tells
    by setting where its value comes from: `flag --smtp-url`, `environment MAILER_SMTP_URL`, `mailer.toml`, `default`.
    """

    campaign: CampaignSettings
    smtp: SmtpSettings
    queue: QueueSettings
    delivery: DeliverySettings
    base: Path
    path: Path | None
    origin: Mapping[str, str] = field(repr=False)
    folders: Mapping[str, Path] = field(repr=False)
    """By setting: the folder its relative paths start from. Settings at their default are missing."""
    explicit_keys: frozenset[str] = field(repr=False)
    """The settings that flags or the environment gave."""

    def explicit(self, section: str) -> dict[str, Any]:
        """The keys of a section that flags or the environment gave, for `replace`: they win over a stored campaign."""
        # Any, because `replace` wants each value with its own type.
        settings = getattr(self, section)
        names = [key.partition(".")[2] for key in self.explicit_keys if key.startswith(f"{section}.")]
        return {name: getattr(settings, name) for name in sorted(names)}

    def folder_of(self, key: str) -> Path:
        """The folder a relative path in this setting starts from: the file's, or the current one for a flag."""
        return self.folders.get(key, self.base)

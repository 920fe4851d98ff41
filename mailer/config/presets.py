"""A provider's preset becomes a plain `smtp.url`, so that nothing behind the configuration knows of presets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mailer.config.layer import Layer
from mailer.policy.providers import provider_url
from mailer.policy.smtp_url import parse_smtp_url
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.settings import SmtpSettings

_URL, _PROVIDER, _USER = "smtp.url", "smtp.provider", "smtp.user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The settings with a plain `url`, and what becomes known of that `url` by it."""

    smtp: SmtpSettings
    origin: Mapping[str, str] = field(default_factory=dict)
    explicit_keys: frozenset[str] = frozenset()


def resolve_preset(smtp: SmtpSettings, given: Mapping[str, Layer], layers: Sequence[Layer]) -> Resolved:
    """Write the URL of `smtp.provider` and `smtp.user` into `smtp.url`.

    A provider whose host depends on a region has it in its name: `ses-eu-west-1`.

    Of a URL and a provider from different places the higher one counts, as for every setting: `MAILER_SMTP_URL` leads
    past the provider of a campaign file.

    Raises:
        UsageError: E101 for both in the same place, for a user without a provider, and for a provider that is none;
            E105 where the user is missing.
    """
    # A setting that nobody gave ranks behind every layer.
    rank = {key: layers.index(given[key]) if key in given else len(layers) for key in (_URL, _PROVIDER, _USER)}
    if _PROVIDER in given and rank[_PROVIDER] == rank[_URL]:
        raise UsageError(
            "E101",
            "smtp.url and smtp.provider name two mail servers",
            where=given[_PROVIDER].place_of(_PROVIDER),
            hint="keep one of the two",
        )
    if smtp.provider is not None and rank[_PROVIDER] < rank[_URL]:
        try:
            url = provider_url(smtp.provider, smtp.user)
            parse_smtp_url(url)  # the user may hold what no login may
        except UsageError as error:
            error.where = given[_PROVIDER].place_of(_PROVIDER)
            raise
        is_explicit = any(given[key].explicit for key in (_PROVIDER, _USER) if key in given)
        return Resolved(
            smtp=replace(smtp, url=url),
            origin={_URL: f"{given[_PROVIDER].origins[_PROVIDER]}, provider {smtp.provider}"},
            explicit_keys=frozenset({_URL} if is_explicit else ()),
        )
    if smtp.user is not None and rank[_USER] <= rank[_URL]:
        raise UsageError(
            "E101",
            "smtp.user goes with smtp.provider",
            where=given[_USER].place_of(_USER),
            hint="with a URL the user stands in it: smtp+starttls://user@host:587",
        )
    return Resolved(smtp=replace(smtp, provider=None, user=None))

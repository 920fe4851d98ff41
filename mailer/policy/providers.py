"""Presets of well-known mail providers: host, port, protection, and the catch that everybody meets once."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from mailer.policy.smtp_url import format_smtp_url
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.route import Route, Security


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """What has to be known of a provider besides the login name.

    `host` holds `{region}` where it depends on one, which then ends the preset's name: `ses-eu-west-1`. `login` is the
    user where it is the same for everybody. `catch` is what usually lies behind a refused login, `help_url` where it is
    mended.
    """

    title: str
    host: str
    port: int = 587
    security: Security = Security.STARTTLS
    login: str | None = None
    catch: str
    help_url: str


_OUTLOOK = Provider(
    title="Outlook.com",
    host="smtp-mail.outlook.com",
    catch="Microsoft takes no password over SMTP from personal accounts, only OAuth, which mailer does not speak; "
    "use another relay.",
    help_url="https://support.microsoft.com/office/d088b986-291d-42b8-9564-9c414e2aa040",
)

PROVIDERS: Mapping[str, Provider] = {
    "gmail": Provider(
        title="Gmail",
        host="smtp.gmail.com",
        catch="Google takes no account password over SMTP; it needs a 16-character app password "
        "(2-Step Verification on), or OAuth.",
        help_url="https://myaccount.google.com/apppasswords",
    ),
    "outlook": _OUTLOOK,
    "hotmail": _OUTLOOK,
    "office365": Provider(
        title="Microsoft 365",
        host="smtp.office365.com",
        catch="Microsoft 365 takes a password only where an administrator has switched on SMTP AUTH for the mailbox.",
        help_url="https://learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/"
        "authenticated-client-smtp-submission",
    ),
    "yahoo": Provider(
        title="Yahoo",
        host="smtp.mail.yahoo.com",
        port=465,
        security=Security.TLS,
        catch="Yahoo takes no account password over SMTP; it needs an app password.",
        help_url="https://login.yahoo.com/account/security",
    ),
    "mailtrap": Provider(
        title="Mailtrap",
        host="sandbox.smtp.mailtrap.io",
        catch="Mailtrap's sandbox has a user and a password of its own for each inbox, and delivers nothing.",
        help_url="https://mailtrap.io/inboxes",
    ),
    "ses": Provider(
        title="Amazon SES",
        host="email-smtp.{region}.amazonaws.com",
        catch="SES wants SMTP credentials made for one region; an AWS access key is not one.",
        help_url="https://docs.aws.amazon.com/ses/latest/dg/smtp-credentials.html",
    ),
    "sendgrid": Provider(
        title="SendGrid",
        host="smtp.sendgrid.net",
        login="apikey",
        catch='SendGrid\'s user is the word "apikey"; the password is an API key with the right to send mail.',
        help_url="https://app.sendgrid.com/settings/api_keys",
    ),
    "postmark": Provider(
        title="Postmark",
        host="smtp.postmarkapp.com",
        catch="Postmark takes the server's API token as user and as password.",
        help_url="https://account.postmarkapp.com/servers",
    ),
    "mailgun": Provider(
        title="Mailgun",
        host="smtp.mailgun.org",
        catch="Mailgun has SMTP credentials for each domain; a domain in the EU region has the host "
        "smtp.eu.mailgun.org.",
        help_url="https://app.mailgun.com/mg/sending/domains",
    ),
    "resend": Provider(
        title="Resend",
        host="smtp.resend.com",
        port=465,
        security=Security.TLS,
        login="resend",
        catch='Resend\'s user is the word "resend"; the password is an API key.',
        help_url="https://resend.com/api-keys",
    ),
    "fastmail": Provider(
        title="Fastmail",
        host="smtp.fastmail.com",
        port=465,
        security=Security.TLS,
        catch="Fastmail takes no account password over SMTP; it needs an app password with SMTP access.",
        help_url="https://app.fastmail.com/settings/security",
    ),
    "icloud": Provider(
        title="iCloud",
        host="smtp.mail.me.com",
        catch="iCloud takes no account password over SMTP; it needs an app-specific password.",
        help_url="https://account.apple.com/account/manage",
    ),
    "zoho": Provider(
        title="Zoho",
        host="smtp.zoho.com",
        port=465,
        security=Security.TLS,
        catch="Zoho wants an app password where two-factor login is on; accounts of other regions and of own domains "
        "have other hosts (smtp.zoho.eu, smtppro.zoho.com).",
        help_url="https://accounts.zoho.com/home#security/app_password",
    ),
}

_FAMILIES: Mapping[str, str] = {
    "gmail.com": "gmail",
    "googlemail.com": "gmail",
    "google.com": "gmail",
    "outlook.com": "outlook",
    "hotmail.com": "outlook",
    "live.com": "outlook",
    "office365.com": "office365",
    "yahoo.com": "yahoo",
    "mailtrap.io": "mailtrap",
    "amazonaws.com": "ses",
    "sendgrid.net": "sendgrid",
    "postmarkapp.com": "postmark",
    "mailgun.org": "mailgun",
    "resend.com": "resend",
    "fastmail.com": "fastmail",
    "me.com": "icloud",
    "zoho.com": "zoho",
    "zoho.eu": "zoho",
}
"""Domain of a relay's host to the name of the preset."""


_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}")
"""As AWS names them: eu-west-1, us-gov-west-1."""

_RECEIVERS: Mapping[str, str] = {
    **dict.fromkeys(("gmail.com", "googlemail.com"), "Gmail"),
    **dict.fromkeys(("msn.com", "windowslive.com", "outlook", "hotmail", "live"), "Outlook.com"),
    **dict.fromkeys(("ymail.com", "rocketmail.com", "aol.com", "yahoo"), "Yahoo"),
    **dict.fromkeys(("icloud.com", "me.com", "mac.com"), "iCloud"),
}
"""Who takes the mail of a domain, or of all domains of a name: hotmail.com, hotmail.de, hotmail.co.uk."""
_OF_A_COUNTRY = re.compile(r"(outlook|hotmail|live|yahoo)\.(?:com|(?:com?\.)?[a-z]{2})")


def receiver_of(domain: str) -> str:
    """Who takes the mail of a recipient domain: `Outlook.com` for hotmail.de, the domain itself where nobody knows."""
    match = _OF_A_COUNTRY.fullmatch(domain)
    return _RECEIVERS.get(match[1] if match else domain, domain)


def provider_of(host: str) -> Provider | None:
    """The provider that a host belongs to, by its domain, or None."""
    for domain, name in _FAMILIES.items():
        if host == domain or host.endswith(f".{domain}"):
            return PROVIDERS[name]
    return None


def provider_url(name: str, user: str | None) -> str:
    """The SMTP URL that a preset stands for.

    Raises:
        UsageError: E101 for a name that is none, or one that lacks its region; E105 without a user.
    """
    preset, _, region = name.lower().partition("-")
    provider = PROVIDERS.get(preset)
    if provider is None or (region and "{region}" not in provider.host):
        nearest = get_close_matches(name.lower(), PROVIDERS, n=1, cutoff=0.5)
        hint = f'provider = "{nearest[0]}"' if nearest else f"one of: {', '.join(PROVIDERS)}"
        raise UsageError("E101", f"there is no provider {name!r}", hint=f"{hint}; any other server: url = …")
    if "{region}" in provider.host and not _REGION.fullmatch(region):
        raise UsageError(
            "E101",
            f"the host of {provider.title} depends on your region",
            hint=f'provider = "{preset}-eu-west-1"   with your region',
        )
    login = user or provider.login
    if login is None:
        raise UsageError(
            "E105",
            "smtp.user is not set",
            why=provider.catch,
            hint=f'user = "you@example.com"   beside provider = "{name}"',
        )
    host = provider.host.format(region=region)
    return format_smtp_url(Route(host=host, port=provider.port, security=provider.security, user=login))

"""A login that did not come about (RFC 4954 section 6)."""

from mailer.backends.smtp.raw_cause import raw
from mailer.policy.providers import provider_of
from mailer.vocabulary.errors import RelayError
from mailer.vocabulary.reply import Reply
from mailer.vocabulary.route import Route

_BAD_CREDENTIALS = (534, 535)
_OPERATOR = {
    432: "The account needs a password transition.",
    504: "The server does not know the mechanism it offered.",
    525: "The account is disabled.",
    530: "The server wants something else before a login.",
    538: "The server wants stronger encryption for this login.",
}


def of_reply(reply: Reply, route: Route) -> RelayError:
    """The relay answered AUTH with something else than 235. Only what passes by itself may be tried again."""
    if reply.code in _BAD_CREDENTIALS:
        return _refused(reply, route)
    # 503: "already authenticated", some disorder that a new connection mends.
    if reply.code == 503 or (reply.is_transient and reply.code not in _OPERATOR):
        return RelayError(
            "E413",
            f"{route.relay} cannot check the login now: {reply}",
            why="Nothing says that user or password are wrong.",
            hint="wait; logins are tried again at growing intervals",
            cause=str(reply),
            retryable=True,
        )
    return RelayError(
        "E412",
        f"{route.relay} does not let {route.user} log in: {reply}",
        why=_OPERATOR.get(reply.code),
        hint="check user and security in the SMTP URL, or ask the server's operator",
        cause=str(reply),
    )


def no_mechanism(error: Exception, route: Route) -> RelayError:
    """The relay offers no AUTH, or none that we know."""
    return RelayError(
        "E412",
        f"{route.relay} offers no login that we know",
        why="We log in with PLAIN, LOGIN or CRAM-MD5.",
        hint="leave the user out of the SMTP URL, or use the server's submission port (587 or 465)",
        cause=raw(error),
    )


def _refused(reply: Reply, route: Route) -> RelayError:
    said = f"{reply.code} {reply.enhanced_code or ''}".strip()
    provider = provider_of(route.host)
    if provider is not None:
        return RelayError(
            "E411",
            f"{provider.title} refused the login of {route.user} ({said})",
            why=provider.catch,
            hint=f"{provider.help_url}, then put it in MAILER_SMTP_PASSWORD",
            cause=str(reply),
        )
    return RelayError(
        "E411",
        f"{route.host} refused the login of {route.user} ({said})",
        why=reply.text or None,
        hint="check the user in the SMTP URL and MAILER_SMTP_PASSWORD",
        cause=str(reply),
    )

"""Why no session could be opened, in words for the person who has to mend it."""

import errno
import socket
import ssl

import aiosmtplib

from mailer.backends.smtp import login_trouble, tls_trouble
from mailer.backends.smtp.certificate import Shown
from mailer.backends.smtp.raw_cause import causes_of, raw, reply_of
from mailer.vocabulary.errors import RelayError
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.reply import Reply
from mailer.vocabulary.route import Route, Security
from mailer.vocabulary.settings import SmtpSettings


def diagnose(
    error: Exception, phase: Phase, route: Route, settings: SmtpSettings, *, shown: Shown | None = None
) -> RelayError:
    """Translate what aiosmtplib or the TLS library raised while `phase` was going on.

    `shown` is what is known of a certificate that was not trusted.
    `retryable` is true for trouble of the route that may pass, false where somebody must change the configuration or
    look at the security of the connection. aiosmtplib wraps causes before the greeting and passes them bare after it,
    so all of them are looked at; certificates first, for a certificate error is an OSError too.
    """
    for cause in causes_of(error):
        match cause:
            case ssl.SSLCertVerificationError():
                return tls_trouble.of_certificate(cause, route, shown or Shown())
            case ssl.SSLError():
                return tls_trouble.of_handshake(cause, phase, route)
            case aiosmtplib.SMTPResponseException(code=code) if code > 0:
                return _of_reply(reply_of(cause), phase, route)
            case socket.gaierror() | UnicodeError():
                return _no_such_host(cause, route)
            case OSError() if _is_refusal(cause):
                return _nothing_listening(cause, route)
            case TimeoutError():
                return _timed_out(error, route, settings)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return _not_smtp(error, route)
    if isinstance(error, OSError):
        return _no_connection(error, phase, route)
    # What is left is aiosmtplib's word for an extension that is not offered.
    return tls_trouble.not_offered(error, route) if phase is Phase.TLS else login_trouble.no_mechanism(error, route)


def _is_refusal(cause: OSError) -> bool:
    # A host with several addresses: asyncio puts the errors of all of them into one text, without a number.
    return isinstance(cause, ConnectionRefusedError) or f"[Errno {errno.ECONNREFUSED}]" in str(cause)


def _of_reply(reply: Reply, phase: Phase, route: Route) -> RelayError:
    if reply.code == 530 and route.security is Security.PLAIN:
        return tls_trouble.required(reply, route)
    if phase is Phase.AUTH:
        return login_trouble.of_reply(reply, route)
    if phase is Phase.TLS and reply.is_permanent:
        return tls_trouble.not_offered(reply, route)
    what = {Phase.CONNECT: "our connection", Phase.EHLO: "our EHLO"}.get(phase, "STARTTLS")
    if phase is Phase.EHLO and reply.is_permanent:
        hint = "set smtp.local_hostname to a name that exists in DNS"
        return RelayError("E434", f"{route.relay} refused {what}: {reply}", hint=hint, cause=str(reply))
    return RelayError(
        "E434",
        f"{route.relay} refused {what}: {reply}",
        why="This host takes no mail at all (RFC 7504)." if reply.code == 521 else "The server gives no service now.",
        hint="check host and port" if reply.code == 521 else "wait, or ask the server's operator about this reply",
        cause=str(reply),
        retryable=reply.code != 521,
    )


def _no_such_host(cause: Exception, route: Route) -> RelayError:
    if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN:
        return RelayError(
            "E432",
            f"the name {route.host} cannot be looked up now",
            why="The name server does not answer.",
            hint="check the network and /etc/resolv.conf",
            cause=raw(cause),
            retryable=True,
        )
    likely = route.host.replace("smpt", "smtp").replace("stmp", "smtp")
    return RelayError(
        "E432",
        f"no such host: {route.host}",
        hint="check the host in the SMTP URL" if likely == route.host else f"did you mean {likely}?",
        cause=raw(cause),
        retryable=True,
    )


def _nothing_listening(cause: Exception, route: Route) -> RelayError:
    return RelayError(
        "E431",
        f"nothing is listening on {route.relay}",
        hint="mailer capture   (local test server), or check host and port",
        cause=raw(cause),
        retryable=True,
    )


def _timed_out(error: Exception, route: Route, settings: SmtpSettings) -> RelayError:
    # A connection that did not come about says nothing about the greeting; both time out with the same exception.
    if _expects_tls(route) and "connecting" not in str(error):
        return _silent_465(error, route, f"in {settings.connect_timeout:g} s")
    port_25 = route.port == 25
    return RelayError(
        "E433",
        f"{route.relay} did not answer in time",
        why="Many networks block port 25." if port_25 else "Server or network are slow, or a firewall drops packets.",
        hint=f"smtp+starttls://{route.host}:587" if port_25 else "check host, port and firewall",
        cause=raw(error),
        retryable=True,
    )


def _no_connection(error: OSError, phase: Phase, route: Route) -> RelayError:
    if any(isinstance(cause, OSError) and not isinstance(cause, ConnectionError) for cause in causes_of(error)):
        return RelayError(
            "E433",
            f"{route.relay} cannot be reached",
            hint="check the network",
            cause=raw(error),
            retryable=True,
        )
    if phase is Phase.CONNECT and _expects_tls(route):
        return _silent_465(error, route, "before it hung up")
    where = {Phase.CONNECT: "before its greeting", Phase.EHLO: "after our EHLO", Phase.TLS: "during STARTTLS"}
    where[Phase.MAIL] = "behind the login"
    return RelayError(
        "E435",
        f"{route.relay} closed the connection {where.get(phase, 'during the login')}",
        hint="try again later; if it stays so, ask the server's operator",
        cause=raw(error),
        retryable=True,
    )


def _expects_tls(route: Route) -> bool:
    return route.port == 465 and route.security is not Security.TLS


def _silent_465(error: Exception, route: Route, when: str) -> RelayError:
    return RelayError(
        "E402",
        f"{route.relay} accepted the connection but sent no greeting {when}",
        why="Port 465 expects TLS at once.",
        hint=f"smtps://{route.relay}",
        cause=raw(error),
    )


def _not_smtp(error: aiosmtplib.SMTPResponseException, route: Route) -> RelayError:
    return RelayError(
        "E435",
        f"{route.relay} does not answer in SMTP",
        hint="check host and port",
        cause=raw(error),
        retryable=True,
    )

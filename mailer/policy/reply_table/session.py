"""Replies before any envelope: greeting, EHLO, STARTTLS, AUTH. None of them is a recipient's outcome."""

from mailer.policy.reply_table.row import row
from mailer.policy.reply_table.verdicts import LONG, MINUTE, accepted, misconfigured, unchanged
from mailer.policy.reply_table.words import EHLO_REFUSED
from mailer.vocabulary.phase import Scope
from mailer.vocabulary.verdict import Connection, Reason

_CLOSE = Connection.CLOSE

# RFC 5321 section 3.1; 521 is RFC 7504.
GREETING = (
    row("2xx", None, accepted(Scope.SESSION)),
    row("4xx", None, unchanged(Reason.RATE, connection=_CLOSE, slow_down=True)),
    row("521", None, misconfigured(Reason.CONFIGURATION, "this server takes no mail at all: is it the right one?")),
    row("5xx", None, unchanged(Reason.POLICY, connection=_CLOSE, route_delay=LONG)),
)

# RFC 5321 section 4.1.1.1. Without EHLO there is neither STARTTLS nor AUTH, so HELO is no way out.
EHLO = (
    row("2xx", None, accepted(Scope.SESSION)),
    row("4xx", None, unchanged(Reason.RATE, connection=_CLOSE, slow_down=True)),
    row("500 502", None, misconfigured(Reason.CONFIGURATION, "the server knows no EHLO, so no TLS and no login")),
    row("5xx", None, misconfigured(Reason.CONFIGURATION, EHLO_REFUSED)),
)

# RFC 3207 section 4. Never go on in the clear.
TLS = (
    row("2xx", None, accepted(Scope.SESSION)),
    row("421", None, unchanged(Reason.RATE, connection=_CLOSE, slow_down=True)),
    row("4xx", None, unchanged(Reason.TLS, connection=_CLOSE, route_delay=MINUTE)),
    row("5xx", None, misconfigured(Reason.TLS, "the server refuses STARTTLS, and mail never goes out in the clear")),
)

# RFC 4954 sections 4 and 6. A wrong password is tried once: repeated logins lock accounts.
AUTH = (
    row("2xx 334", None, accepted(Scope.SESSION)),
    row("432", None, misconfigured(Reason.AUTHENTICATION, "the server wants the password to be set anew")),
    row("454", None, unchanged(Reason.AUTHENTICATION, connection=_CLOSE, route_delay=MINUTE)),
    row("4xx", None, unchanged(Reason.RATE, connection=_CLOSE, slow_down=True, route_delay=MINUTE)),
    row("503", None, unchanged(Reason.PROTOCOL, Scope.SESSION, connection=_CLOSE)),
    row("500-502", None, misconfigured(Reason.AUTHENTICATION, "the server does not understand our login")),
    row(
        "504 534", None, misconfigured(Reason.AUTHENTICATION, "the server takes no login of this kind (AUTH mechanism)")
    ),
    row("538", None, misconfigured(Reason.AUTHENTICATION, "the server takes logins only over TLS")),
    row("525", None, misconfigured(Reason.AUTHENTICATION, "the account is disabled")),
    row("535", None, misconfigured(Reason.AUTHENTICATION, "the server refuses user name or password")),
    row("5xx", None, misconfigured(Reason.AUTHENTICATION, "the server refuses the login")),
)

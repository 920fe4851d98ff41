"""Replies to MAIL (RFC 5321 section 4.1.1.2): about us and the message, never about a recipient."""

from mailer.policy.reply_table.row import row
from mailer.policy.reply_table.verdicts import (
    BREATH,
    DESYNCHRONISED,
    LONG,
    MINUTE,
    MOMENT,
    accepted,
    failed,
    misconfigured,
    unchanged,
)
from mailer.policy.reply_table.words import (
    ACCOUNT_BLOCKED,
    DOMAIN_AUTHENTICATION,
    DOMAIN_FAILS,
    EHLO_REFUSED,
    LOGIN_WANTED,
    NO_ROOM,
    PRIORITY,
    QUOTA_USED_UP,
    RELAY_DENIED,
    SAYS_BLOCKED,
    SAYS_EHLO_REFUSED,
    SAYS_QUOTA,
    SAYS_RELAY_DENIED,
    SAYS_THROTTLED,
    SENDER_REFUSED,
)
from mailer.vocabulary.phase import Scope
from mailer.vocabulary.verdict import Connection, Reason

_CLOSE, _KEEP = Connection.CLOSE, Connection.KEEP

MAIL = (
    row("211 214", None, DESYNCHRONISED),
    row("2xx", None, accepted(Scope.MESSAGE)),
    row(
        "421",
        None,
        unchanged(Reason.UNAVAILABLE, Scope.SESSION, connection=_CLOSE, slow_down=True, route_delay=MOMENT),
    ),
    row("432", None, unchanged(Reason.RATE, connection=_CLOSE, slow_down=True, route_delay=BREATH)),
    row("454", None, misconfigured(Reason.QUOTA, QUOTA_USED_UP, connection=_KEEP), says=SAYS_QUOTA),
    row("454", None, unchanged(Reason.RATE, slow_down=True, route_delay=BREATH), says=SAYS_THROTTLED),
    row("455 555", None, unchanged(Reason.PARAMETER)),
    row("4xx", NO_ROOM, unchanged(Reason.UNAVAILABLE, route_delay=LONG)),
    row("452", "X.0.0", unchanged(Reason.UNAVAILABLE, route_delay=LONG)),
    row("4xx", "X.7.28", unchanged(Reason.RATE, connection=_CLOSE, slow_down=True, route_delay=MINUTE)),
    row("4xx", "X.1.*", unchanged(Reason.SENDER, slow_down=True, route_delay=MINUTE)),
    row("4xx", "X.7.*", unchanged(Reason.POLICY, slow_down=True, route_delay=MINUTE)),
    row("4xx", None, unchanged(Reason.UNAVAILABLE, slow_down=True, route_delay=MINUTE)),
    row("503", None, DESYNCHRONISED),
    row("530", None, misconfigured(Reason.AUTHENTICATION, LOGIN_WANTED)),
    row("5xx", "X.3.4", failed(Reason.TOO_BIG)),
    row("552", "X.0.0", failed(Reason.TOO_BIG)),  # RFC 1870 section 6.1
    row("550 554", ACCOUNT_BLOCKED, misconfigured(Reason.QUOTA, QUOTA_USED_UP)),
    row("554", "X.2.0", misconfigured(Reason.QUOTA, QUOTA_USED_UP), says=SAYS_QUOTA),
    row("5xx", None, misconfigured(Reason.CONFIGURATION, EHLO_REFUSED), says=SAYS_EHLO_REFUSED),
    row("5xx", PRIORITY, unchanged(Reason.POLICY, route_delay=MINUTE)),
    row(
        "500-502 504", "X.5.* X.0.0", misconfigured(Reason.PROTOCOL, "the server does not understand our MAIL command")
    ),
    row("5xx", None, misconfigured(Reason.RELAY_DENIED, RELAY_DENIED, connection=_KEEP), says=SAYS_RELAY_DENIED),
    row("5xx", DOMAIN_AUTHENTICATION, misconfigured(Reason.POLICY, DOMAIN_FAILS, Scope.CAMPAIGN, _KEEP)),
    row(
        "5xx",
        "X.7.* X.0.0",
        misconfigured(Reason.POLICY, "the server blocks mail from us", Scope.CAMPAIGN, _KEEP),
        says=SAYS_BLOCKED,
    ),
    row("5xx", "X.3.* X.4.*", misconfigured(Reason.UNAVAILABLE, "the server takes no mail", connection=_CLOSE)),
    row("5xx", None, misconfigured(Reason.SENDER, SENDER_REFUSED, Scope.CAMPAIGN, _KEEP)),
)

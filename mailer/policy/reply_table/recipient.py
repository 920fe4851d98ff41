"""Replies to RCPT (RFC 5321 section 4.1.1.3): first what is about us, then what is about the address."""

from mailer.policy.reply_table.row import row
from mailer.policy.reply_table.verdicts import (
    BREATH,
    DESYNCHRONISED,
    HOUR,
    LONG,
    MOMENT,
    SPLIT,
    accepted,
    failed,
    later,
    misconfigured,
    refused,
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
    SAYS_FULL,
    SAYS_GREYLISTED,
    SAYS_NO_SUCH_MAILBOX,
    SAYS_QUOTA,
    SAYS_RELAY_DENIED,
    SAYS_SENDER,
    SAYS_THROTTLED,
    SAYS_TOO_MANY,
    SENDER,
    SENDER_REFUSED,
)
from mailer.vocabulary.phase import Scope
from mailer.vocabulary.verdict import Connection, Reason

_CLOSE, _KEEP = Connection.CLOSE, Connection.KEEP

_YES = (
    row("211 214", None, DESYNCHRONISED),
    row("2xx", None, accepted(Scope.RECIPIENT)),  # 251 will forward, 252 will try
)

_NOT_NOW_AND_NOT_THE_ADDRESS = (
    row("4xx", "X.7.28", later(Reason.RATE, counted=False, connection=_CLOSE, slow_down=True)),
    row("421", None, unchanged(Reason.RATE, Scope.SESSION, connection=_CLOSE, slow_down=True, route_delay=MOMENT)),
    row("432", None, unchanged(Reason.RATE, connection=_CLOSE, slow_down=True, route_delay=BREATH)),
    # Postfix says 454 where its relay restrictions defer; it will say so for ever.
    row("4xx", None, misconfigured(Reason.RELAY_DENIED, RELAY_DENIED, connection=_KEEP), says=SAYS_RELAY_DENIED),
    row("454", None, misconfigured(Reason.QUOTA, QUOTA_USED_UP, connection=_KEEP), says=SAYS_QUOTA),
    row("454", None, unchanged(Reason.RATE, slow_down=True, route_delay=BREATH), says=SAYS_THROTTLED),
    row("4xx", "X.5.3", SPLIT, accepted=1),
    row("452", "X.0.0", SPLIT, says=SAYS_TOO_MANY, accepted=1),
    # Too many with the first recipient: the server counts over a longer time than one transaction.
    row("4xx", "X.5.3", later(Reason.RATE, counted=False, slow_down=True)),
    row("4xx", NO_ROOM, later(Reason.UNAVAILABLE, Scope.ROUTE, route_delay=LONG)),
    row("4xx", SENDER, later(Reason.SENDER, Scope.CAMPAIGN)),
)

_NOT_NOW = (
    row("4xx", "X.2.2", later(Reason.MAILBOX_FULL, least_delay=HOUR)),
    row("4xx", "X.2.1", later(Reason.RATE, counted=False), says=SAYS_THROTTLED),
    row("4xx", None, later(Reason.GREYLISTED), says=SAYS_GREYLISTED),
    row("450", "X.7.1", later(Reason.GREYLISTED)),
    row("4xx", "X.7.*", later(Reason.POLICY)),
    row("4xx", "X.4.*", later(Reason.NO_ROUTE)),
    row("4xx", None, later(Reason.UNAVAILABLE)),
)

_NO_BUT_NOT_THE_ADDRESS = (
    row("503", None, DESYNCHRONISED),
    row("530", None, misconfigured(Reason.AUTHENTICATION, LOGIN_WANTED)),
    row("5xx", PRIORITY, later(Reason.POLICY)),
    row("5xx", None, misconfigured(Reason.CONFIGURATION, EHLO_REFUSED), says=SAYS_EHLO_REFUSED),
    row("5xx", None, misconfigured(Reason.SENDER, SENDER_REFUSED, Scope.CAMPAIGN, _KEEP), says=SAYS_SENDER),
    row("5xx", None, misconfigured(Reason.RELAY_DENIED, RELAY_DENIED, connection=_KEEP), says=SAYS_RELAY_DENIED),
    row("550 554", f"{ACCOUNT_BLOCKED} X.1.8", misconfigured(Reason.QUOTA, QUOTA_USED_UP)),
    row("554", "X.2.0", misconfigured(Reason.QUOTA, QUOTA_USED_UP), says=SAYS_QUOTA),
    row("5xx", SENDER, misconfigured(Reason.SENDER, SENDER_REFUSED, Scope.CAMPAIGN, _KEEP)),
    row("5xx", "X.3.1 X.3.2 X.3.5", unchanged(Reason.UNAVAILABLE, connection=_CLOSE, route_delay=LONG)),
    # Old servers say "too many recipients" with 552 (RFC 5321 section 4.5.3.1.10); bare, it may mean a full mailbox.
    row("5xx", "X.5.3", SPLIT, accepted=1),
    row("552", "X.0.0", SPLIT, says=SAYS_TOO_MANY, accepted=1),
    row("552", "X.0.0", refused(Reason.MAILBOX_FULL), says=SAYS_FULL),
    row("552", "X.0.0", SPLIT, accepted=2),
    row("5xx", "X.5.3", refused(Reason.RATE, Scope.MESSAGE)),
)

_NO_SUCH_ADDRESS = (
    row("553", "X.1.3", refused(Reason.SYNTAX)),
    row("5xx", "X.1.1", refused(Reason.NO_SUCH_MAILBOX, suppress=True)),
    row("550", "X.1.0", refused(Reason.NO_SUCH_MAILBOX, suppress=True)),
    row("5xx", "X.1.2 X.1.10", refused(Reason.BAD_DOMAIN, suppress=True)),
    row("5xx", "X.1.3", refused(Reason.SYNTAX, suppress=True)),
    row("5xx", "X.1.6", refused(Reason.MOVED, suppress=True)),
    row("5xx", "X.1.*", refused(Reason.NO_SUCH_MAILBOX)),
    row("5xx", "X.7.17 X.7.18", refused(Reason.OWNER_CHANGED, suppress=True)),
    row("5xx", "X.2.1", refused(Reason.MAILBOX_DISABLED)),
    row("5xx", "X.2.2", refused(Reason.MAILBOX_FULL)),
    row("5xx", "X.2.3", refused(Reason.TOO_BIG)),
    row("5xx", "X.2.*", refused(Reason.UNKNOWN)),
    row("5xx", "X.6.7 X.6.9", refused(Reason.SMTPUTF8)),
    row("5xx", "X.4.6", refused(Reason.LOOP)),
    row("5xx", "X.4.*", refused(Reason.NO_ROUTE)),
    row("552", "X.0.0", refused(Reason.MAILBOX_FULL)),
    row("556", "X.0.0", refused(Reason.BAD_DOMAIN)),  # RFC 7504
    row("551", "X.7.1 X.0.0", refused(Reason.RELAY_DENIED, Scope.MESSAGE)),
    row("5xx", "X.5.0 X.0.0", refused(Reason.NO_SUCH_MAILBOX), says=SAYS_NO_SUCH_MAILBOX),
    row("501", "X.5.* X.0.0", refused(Reason.SYNTAX)),
)

_NO_TO_THE_MESSAGE = (
    row("5xx", DOMAIN_AUTHENTICATION, refused(Reason.POLICY, Scope.MESSAGE, pause=DOMAIN_FAILS)),
    row(
        "5xx",
        "X.7.28",
        refused(
            Reason.RATE, Scope.MESSAGE, connection=_CLOSE, pause="the server calls this a mail flood", slow_down=True
        ),
    ),
    row("5xx", "X.3.4", failed(Reason.TOO_BIG)),
    row("5xx", "X.3.*", refused(Reason.UNAVAILABLE, Scope.MESSAGE)),
    row("5xx", "X.6.*", refused(Reason.CONTENT, Scope.MESSAGE, pause="the server refuses the kind of message")),
    row("5xx", "X.7.*", refused(Reason.POLICY, Scope.MESSAGE)),
    row("5xx", "X.5.*", later(Reason.PROTOCOL, connection=_CLOSE)),
    row("500 502 504", "X.0.0", later(Reason.PROTOCOL, connection=_CLOSE)),
    row("5xx", "X.0.0", refused(Reason.POLICY, Scope.MESSAGE), says=SAYS_BLOCKED),
    row("5xx", None, refused(Reason.UNKNOWN)),
)

RCPT = (
    *_YES,
    *_NOT_NOW_AND_NOT_THE_ADDRESS,
    *_NOT_NOW,
    *_NO_BUT_NOT_THE_ADDRESS,
    *_NO_SUCH_ADDRESS,
    *_NO_TO_THE_MESSAGE,
)

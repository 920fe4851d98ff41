"""Replies to DATA, amid the body and to the final dot (RFC 5321 section 4.1.1.4).

Once the body is out, no reply puts a recipient back to queued: what is not his fault defers him without counting.
"""

from dataclasses import replace

from mailer.policy.reply_table.row import row
from mailer.policy.reply_table.verdicts import (
    BREATH,
    DESYNCHRONISED,
    HOUR,
    LONG,
    SOON,
    UNKNOWABLE,
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
    LOGIN_WANTED,
    NO_ROOM,
    PRIORITY,
    QUOTA_USED_UP,
    SAYS_CONTENT,
    SAYS_GREYLISTED,
    SAYS_QUOTA,
    SAYS_THROTTLED,
    SAYS_TOO_BIG,
    SENDER,
    SENDER_REFUSED,
)
from mailer.vocabulary.phase import Scope
from mailer.vocabulary.verdict import Connection, Reason

_CLOSE, _KEEP = Connection.CLOSE, Connection.KEEP
_MESSAGE = Scope.MESSAGE
_NO_QUOTA = later(Reason.QUOTA, Scope.ROUTE, counted=False, connection=_CLOSE, pause=QUOTA_USED_UP)
_BAD_KIND = "the server refuses the kind of message"

_NOT_NOW = (
    row("4xx", "X.7.28", later(Reason.RATE, _MESSAGE, counted=False, connection=_CLOSE, slow_down=True)),
    row("421", None, later(Reason.UNAVAILABLE, _MESSAGE, connection=_CLOSE)),
    row("4xx", NO_ROOM, later(Reason.UNAVAILABLE, Scope.ROUTE, route_delay=LONG)),
    row("4xx", "X.2.2", later(Reason.MAILBOX_FULL, least_delay=HOUR)),
    row("4xx", None, later(Reason.GREYLISTED, _MESSAGE), says=SAYS_GREYLISTED),
    row("4xx", "X.7.*", later(Reason.POLICY, _MESSAGE)),
    row("4xx", None, later(Reason.UNAVAILABLE, _MESSAGE)),
)

_NO = (
    row("5xx", PRIORITY, later(Reason.POLICY, _MESSAGE)),
    row("5xx", "X.3.4 X.2.3", failed(Reason.TOO_BIG)),
    row("552 554", "X.0.0", failed(Reason.TOO_BIG), says=SAYS_TOO_BIG),
    row("5xx", DOMAIN_AUTHENTICATION, refused(Reason.POLICY, _MESSAGE, pause=DOMAIN_FAILS)),
    row(
        "5xx",
        "X.7.28",
        refused(Reason.RATE, _MESSAGE, connection=_CLOSE, pause="the server calls this a mail flood", slow_down=True),
    ),
    # A late check of the recipient. It suppresses nobody: with several recipients it does not say whom it means.
    row("5xx", "X.1.2 X.1.10", refused(Reason.BAD_DOMAIN)),
    row("5xx", "X.1.3", refused(Reason.SYNTAX)),
    row("5xx", "X.1.6", refused(Reason.MOVED)),
    row("5xx", "X.1.*", refused(Reason.NO_SUCH_MAILBOX)),
    row("5xx", "X.2.1", refused(Reason.MAILBOX_DISABLED)),
    row("5xx", "X.2.2", refused(Reason.MAILBOX_FULL)),
    row("5xx", "X.2.*", refused(Reason.UNKNOWN)),
    row("5xx", "X.3.*", refused(Reason.UNAVAILABLE, _MESSAGE)),
    row("5xx", "X.4.6", refused(Reason.LOOP)),
    row("5xx", "X.4.*", refused(Reason.NO_ROUTE)),
    row("5xx", "X.6.0", refused(Reason.CONTENT, _MESSAGE)),
    row("5xx", "X.6.*", refused(Reason.CONTENT, _MESSAGE, pause=_BAD_KIND)),
    row("5xx", "X.5.*", later(Reason.PROTOCOL, _MESSAGE, connection=_CLOSE)),
    row("500-504", "X.0.0", later(Reason.PROTOCOL, _MESSAGE, connection=_CLOSE)),
)

DATA = (
    row("354", None, accepted(_MESSAGE)),
    row("432", None, unchanged(Reason.RATE, connection=_CLOSE, slow_down=True, route_delay=BREATH)),
    row("454", None, misconfigured(Reason.QUOTA, QUOTA_USED_UP, connection=_KEEP), says=SAYS_QUOTA),
    row("454", None, unchanged(Reason.RATE, slow_down=True, route_delay=BREATH), says=SAYS_THROTTLED),
    *_NOT_NOW,
    # Consequences of refused RCPTs (RFC 2920 section 3.1): their replies are the outcomes, this one is none.
    row("503", None, unchanged(Reason.PROTOCOL, Scope.SESSION)),
    row("554", "X.5.1", unchanged(Reason.PROTOCOL, Scope.SESSION)),
    row("554", "X.0.0", unchanged(Reason.PROTOCOL, Scope.SESSION), says=r"no valid recipients"),
    row("530", None, misconfigured(Reason.AUTHENTICATION, LOGIN_WANTED)),
    row("550 554", ACCOUNT_BLOCKED, misconfigured(Reason.QUOTA, QUOTA_USED_UP)),
    row("554", "X.2.0", misconfigured(Reason.QUOTA, QUOTA_USED_UP), says=SAYS_QUOTA),
    row("5xx", SENDER, misconfigured(Reason.SENDER, SENDER_REFUSED, Scope.CAMPAIGN, _KEEP)),
    *_NO,
    row("5xx", "X.7.*", refused(Reason.POLICY, _MESSAGE)),
    row("5xx", None, refused(Reason.UNKNOWN, _MESSAGE)),
    row("200-399", None, DESYNCHRONISED),
)

_NO_AFTER_THE_BODY = (
    row(
        "432", None, later(Reason.RATE, Scope.ROUTE, counted=False, connection=_CLOSE, slow_down=True, most_delay=SOON)
    ),
    row("454", None, replace(_NO_QUOTA, connection=_KEEP), says=SAYS_QUOTA),
    row(
        "454",
        None,
        later(Reason.RATE, Scope.ROUTE, counted=False, slow_down=True, most_delay=SOON),
        says=SAYS_THROTTLED,
    ),
    *_NOT_NOW,
    row("554", "X.2.2", _NO_QUOTA, says=r"STOREDRV\.Submission"),  # Exchange: it is our own Sent Items that is full
    row("550 554", ACCOUNT_BLOCKED, _NO_QUOTA),
    row("554", "X.2.0", _NO_QUOTA, says=SAYS_QUOTA),
    row("5xx", SENDER, refused(Reason.SENDER, _MESSAGE, pause=SENDER_REFUSED)),
    *_NO,
    row("5xx", "X.7.*", refused(Reason.CONTENT, _MESSAGE)),
    row("5xx", "X.0.0", refused(Reason.CONTENT, _MESSAGE), says=SAYS_CONTENT),
    row("5xx", None, refused(Reason.UNKNOWN, _MESSAGE)),
    row("200-399", None, UNKNOWABLE),
)

DOT = (row("2xx", None, accepted(_MESSAGE)), *_NO_AFTER_THE_BODY)

BODY = tuple(replace(each, verdict=replace(each.verdict, connection=_CLOSE)) for each in _NO_AFTER_THE_BODY)
"""A reply that does not wait for the dot: a no is a no, and the connection is stuck amid the message."""

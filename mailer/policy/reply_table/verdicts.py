"""The verdicts of the reply table as short words."""

from typing import TypedDict, Unpack

from mailer.vocabulary.outcome import Class
from mailer.vocabulary.phase import Scope
from mailer.vocabulary.verdict import Connection, Move, Reason, Verdict

MOMENT = 1.0
"""Seconds a route rests when a server closes one connection; many do so after some hundred messages."""
BREATH = 10.0
"""Seconds a route rests when it was too fast."""
MINUTE = 60.0
LONG = 300.0
"""Seconds a route rests while its server has no room or no service."""
HOUR = 3600.0
SOON = 500.0
"""Longest delay after throttling; with 20 % jitter it stays within ten minutes."""


class Consequences(TypedDict, total=False):
    """The fields of a verdict that have a default."""

    counted: bool
    suppress: bool
    connection: Connection
    pause: str
    slow_down: bool
    route_delay: float
    least_delay: float
    most_delay: float


def accepted(scope: Scope) -> Verdict:
    """Yes: go on, or done."""
    return Verdict(move=Move.ACCEPTED, scope=scope)


def refused(reason: Reason, scope: Scope = Scope.RECIPIENT, **rest: Unpack[Consequences]) -> Verdict:
    """No, for good: of scope message where it is about what we send, of scope recipient where about whom."""
    return Verdict(move=Move.REFUSED, scope=scope, failure=Class.PERMANENT, reason=reason, **rest)


def failed(reason: Reason, scope: Scope = Scope.MESSAGE, **rest: Unpack[Consequences]) -> Verdict:
    """We cannot."""
    return Verdict(move=Move.FAILED, scope=scope, failure=Class.LOCAL, reason=reason, **rest)


def later(reason: Reason, scope: Scope = Scope.RECIPIENT, **rest: Unpack[Consequences]) -> Verdict:
    """Not now."""
    return Verdict(move=Move.DEFERRED, scope=scope, failure=Class.TEMPORARY, reason=reason, **rest)


def unchanged(reason: Reason, scope: Scope = Scope.ROUTE, **rest: Unpack[Consequences]) -> Verdict:
    """Not about the recipient, and it may pass."""
    rest["counted"] = False
    return Verdict(move=Move.UNCHANGED, scope=scope, failure=Class.TEMPORARY, reason=reason, **rest)


def misconfigured(
    reason: Reason, pause: str, scope: Scope = Scope.ROUTE, connection: Connection = Connection.CLOSE
) -> Verdict:
    """Not about the recipient, and somebody has to mend it: the campaign pauses."""
    return Verdict(
        move=Move.UNCHANGED,
        scope=scope,
        failure=Class.LOCAL,
        reason=reason,
        counted=False,
        connection=connection,
        pause=pause,
    )


SPLIT = Verdict(move=Move.SPLIT, scope=Scope.SESSION, failure=Class.TEMPORARY, reason=Reason.RATE, counted=False)
DESYNCHRONISED = unchanged(Reason.PROTOCOL, Scope.SESSION, connection=Connection.CLOSE)
"""A reply that answers nothing we said, and no body byte has left."""
UNKNOWABLE = Verdict(
    move=Move.IN_DOUBT,
    scope=Scope.SESSION,
    failure=Class.UNKNOWN,
    reason=Reason.PROTOCOL,
    connection=Connection.CLOSE,
)
"""A reply that answers nothing we said, and the body is out."""

"""What a reply means: for the recipient, for the connection, for the route and for the campaign."""

from dataclasses import dataclass
from enum import StrEnum
from math import inf

from mailer.vocabulary.outcome import Class
from mailer.vocabulary.phase import Scope


class Move(StrEnum):
    """Where a reply moves the recipient."""

    ACCEPTED = "accepted"
    """The server said yes to this step; at the final dot the recipient is sent."""
    REFUSED = "refused"
    """The server said no for good."""
    FAILED = "failed"
    """We cannot send this message to this server (too big, or our own protocol error)."""
    DEFERRED = "deferred"
    """Try again later, by the schedule."""
    UNCHANGED = "unchanged"
    """Not about this recipient: back to queued, the attempt does not count."""
    SPLIT = "split"
    """Too many recipients in one transaction: unchanged, and the rest goes into a new one at once."""
    IN_DOUBT = "in_doubt"
    """The body was handed over and the reply is no answer to it: nobody knows."""


class Reason(StrEnum):
    """The one-word cause in reports. A closed set: reports group by it and hints are chosen by it."""

    POLICY = "policy"
    """The server dislikes the sender, its reputation or its domain's SPF, DKIM, DMARC."""
    CONTENT = "content"
    """The message itself: spam, virus, media type to the server; 8-bit content where it takes none."""
    TOO_BIG = "too_big"
    """The message is larger than the server or the mailbox takes."""
    NO_SUCH_MAILBOX = "no_such_mailbox"
    """There is no mailbox of that name."""
    MAILBOX_FULL = "mailbox_full"
    """The mailbox has no room left."""
    MAILBOX_DISABLED = "mailbox_disabled"
    """The mailbox exists and takes no mail."""
    BAD_DOMAIN = "bad_domain"
    """The domain does not exist or takes no mail (null MX, RFC 7505)."""
    MOVED = "moved"
    """The mailbox has moved and left no forwarding address."""
    OWNER_CHANGED = "owner_changed"
    """The mailbox or its domain belongs to somebody else now (RFC 7293)."""
    SYNTAX = "syntax"
    """The recipient's address cannot be said or read."""
    SMTPUTF8 = "smtputf8"
    """The address or message needs SMTPUTF8 (RFC 6531) where there is none."""
    NO_ROUTE = "no_route"
    """The relay knows no way to the recipient's server."""
    LOOP = "loop"
    """The relay found a mail loop."""
    GREYLISTED = "greylisted"
    """Come back in some minutes."""
    UNAVAILABLE = "unavailable"
    """The mailbox or the server has trouble of its own just now."""
    RATE = "rate"
    """Too much, too fast, too many connections."""
    QUOTA = "quota"
    """Our allowance at the relay is used up, or our account there is blocked."""
    SENDER = "sender"
    """The server refuses our sender address."""
    RELAY_DENIED = "relay_denied"
    """The server does not relay for us."""
    AUTHENTICATION = "authentication"
    """The login is refused, missing or not possible."""
    TLS = "tls"
    """The connection cannot be protected."""
    CONFIGURATION = "configuration"
    """The server is the wrong one for us, or dislikes how we introduce ourselves."""
    PARAMETER = "parameter"
    """The server offers a parameter of MAIL or RCPT and then does not accept it."""
    PROTOCOL = "protocol"
    """Client and server lost each other; a bug in one of them."""
    UNKNOWN = "unknown"
    """The server said no and not why."""
    INTERRUPTED = "interrupted"
    """The connection ended, or the reply did not come or could not be read."""
    WITHHELD = "withheld"
    """We did not send: the `sending` mark was not to be had."""
    EXPIRED = "expired"
    """Retries used up, or too old."""
    POISON = "poison"
    """Three workers crashed at this recipient."""


class Connection(StrEnum):
    """What becomes of the connection; `keep` includes an RSET where one is due."""

    KEEP = "keep"
    CLOSE = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The meaning of one reply (RFC 5321 section 4.2, RFC 3463), or of its absence.

    `pause` is the reason to pause the campaign with, in words for people; `slow_down` asks for less rate and fewer
    connections; `route_delay` is the seconds the whole route shall rest. `least_delay` and `most_delay` bound the
    seconds before the next try of a deferred recipient, before jitter.
    """

    move: Move
    scope: Scope
    failure: Class | None = None
    reason: Reason | None = None
    counted: bool = True
    suppress: bool = False
    connection: Connection = Connection.KEEP
    pause: str | None = None
    slow_down: bool = False
    route_delay: float | None = None
    least_delay: float = 0.0
    most_delay: float = inf

    @property
    def blames_route(self) -> bool:
        """True for trouble of the session or route: five in a row mean that the route is down."""
        return self.scope in (Scope.SESSION, Scope.ROUTE) and self.move not in (Move.ACCEPTED, Move.SPLIT)

    @property
    def blames_message(self) -> bool:
        """True for a final no to what we send rather than to whom: several in a row pause the campaign."""
        return self.scope is Scope.MESSAGE and self.move in (Move.REFUSED, Move.FAILED)

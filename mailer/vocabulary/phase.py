"""Where in the life of a message something happened."""

from enum import StrEnum


class Phase(StrEnum):
    """The step an outcome comes from, in the order of an SMTP session (RFC 5321); `build` comes before all of them."""

    BUILD = "build"
    CONNECT = "connect"
    GREETING = "greeting"
    EHLO = "ehlo"
    TLS = "tls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"
    DOT = "dot"

    @property
    def is_before_transaction(self) -> bool:
        """True while no envelope has begun: such trouble belongs to the session or the route, never to a recipient."""
        return self in _BEFORE_TRANSACTION

    @property
    def may_have_delivered(self) -> bool:
        """True once a body byte may have left: without a reply nobody knows whether the relay took the message."""
        return self in (Phase.BODY, Phase.DOT)


_BEFORE_TRANSACTION = frozenset({Phase.BUILD, Phase.CONNECT, Phase.GREETING, Phase.EHLO, Phase.TLS, Phase.AUTH})


class Scope(StrEnum):
    """How far a failure reaches. Only `recipient` and `message` end in a recipient's state."""

    RECIPIENT = "recipient"
    MESSAGE = "message"
    SESSION = "session"
    ROUTE = "route"
    CAMPAIGN = "campaign"

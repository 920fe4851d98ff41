"""Reading the token of an unsubscribe link, for whatever answers at its URL."""

from mailer.policy import token as policy


def read_token(secret: str | bytes, token: str) -> tuple[str, str] | None:
    """The campaign's id and the address that a `{{ token }}` was made for; None for anything that was not.

    `secret` is what `MAILER_TOKEN_SECRET` was when the message was made.
    """
    return policy.read_token(secret.encode() if isinstance(secret, str) else secret, token)

"""The look at the relay before work begins: one session, opened and closed again."""

from typing import TYPE_CHECKING

from mailer.backends.smtp.pool import SmtpPool

if TYPE_CHECKING:
    from mailer.backends.smtp.transcript import Keep
    from mailer.vocabulary.route import Route
    from mailer.vocabulary.settings import SmtpSettings


async def try_relay(
    route: "Route", password: str | None, smtp: "SmtpSettings", *, transcript: "Keep | None" = None
) -> None:
    """Connect, protect, log in, say QUIT. Raises `RelayError` E4xx."""
    pool = SmtpPool(route, password if route.user is not None else None, smtp, transcript=transcript)
    try:
        async with pool.session():
            pass
    finally:
        await pool.close()

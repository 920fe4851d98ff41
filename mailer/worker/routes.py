"""The routes of a worker process: one pool of sessions for each relay, shared by all campaigns that use it."""

from dataclasses import replace
from typing import TYPE_CHECKING

from mailer.backends.smtp.pool import SmtpPool
from mailer.flow.run import Route
from mailer.policy.pace import line_of
from mailer.policy.smtp_url import parse_smtp_url
from mailer.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from mailer.backends.smtp.transcript import Keep
    from mailer.config.orders import Orders
    from mailer.vocabulary.campaign import Campaign
    from mailer.vocabulary.route import Route as Way
    from mailer.vocabulary.settings import SmtpSettings


class Routes:
    """Finds the route of a campaign: its own settings, except where this worker has been told otherwise.

    `transcript` is told every line of every dialogue (see `SmtpPool`).
    """

    def __init__(self, orders: "Orders", transcript: "Keep | None" = None) -> None:
        self._orders = orders
        self._transcript = transcript
        self._routes: dict[tuple[str | None, SmtpSettings], Route] = {}

    def of(self, campaign: "Campaign") -> Route:
        """The route of a campaign. Raises `UsageError` E105 without a mail server, E113 without its password."""
        smtp, way = way_of(campaign, self._orders)
        key = (way.ca_pem, smtp)
        if (route := self._routes.get(key)) is None:
            password = self._orders.password if way.user is not None else None
            pool = SmtpPool(way, password, smtp, transcript=self._transcript)
            route = self._routes[key] = Route(pool, smtp.max_connections, line_of(way))
        return route

    async def close(self) -> None:
        """Say QUIT everywhere."""
        for route in self._routes.values():
            await route.pool.close()


def way_of(campaign: "Campaign", orders: "Orders") -> "tuple[SmtpSettings, Way]":
    """The SMTP settings and the way to the relay that a worker with these orders uses for a campaign.

    Raises:
        UsageError: E105 neither campaign nor worker names a mail server, E113 its login's password is not there.
    """
    smtp: SmtpSettings = replace(campaign.smtp, **orders.smtp)
    if not smtp.url:
        raise UsageError(
            "E105",
            f"{campaign.id} was stored without a mail server, and this worker has none of its own",
            hint="MAILER_SMTP_URL=smtp+starttls://user@host:587 for the worker",
            safe="Nothing is lost: the campaign waits.",
        )
    way = parse_smtp_url(smtp.url, ca_pem=orders.ca_pem or campaign.ca_pem)
    if way.user is not None and orders.password is None:
        raise UsageError(
            "E113",
            f"no password for {way.user} at {way.relay}",
            hint="set MAILER_SMTP_PASSWORD, MAILER_SMTP_PASSWORD_FILE or MAILER_SMTP_PASSWORD_COMMAND",
        )
    return smtp, way

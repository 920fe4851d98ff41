"""The routes of a worker process: one pool of sessions for each relay, shared by all campaigns that use it."""

from dataclasses import replace
from typing import TYPE_CHECKING

from mailer.backends.smtp.pool import SmtpPool
from mailer.flow.delivery import Route
from mailer.policy.smtp_url import parse_smtp_url
from mailer.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from mailer.config.orders import Orders
    from mailer.vocabulary.campaign import Campaign
    from mailer.vocabulary.settings import SmtpSettings


class Routes:
    """Finds the route of a campaign: its own settings, except where this worker has been told otherwise."""

    def __init__(self, orders: "Orders") -> None:
        self._orders = orders
        self._routes: dict[tuple[str | None, SmtpSettings], Route] = {}

    def of(self, campaign: "Campaign") -> Route:
        """The route of a campaign. Raises `UsageError` E113 when its login needs a password that is not there."""
        smtp: SmtpSettings = replace(campaign.smtp, **self._orders.smtp)
        ca_pem = self._orders.ca_pem or campaign.ca_pem
        key = (ca_pem, smtp)
        if (route := self._routes.get(key)) is None:
            way = parse_smtp_url(smtp.url or "", ca_pem=ca_pem)
            if way.user is not None and self._orders.password is None:
                raise UsageError(
                    "E113",
                    f"no password for {way.user} at {way.relay}",
                    hint="set MAILER_SMTP_PASSWORD, MAILER_SMTP_PASSWORD_FILE or MAILER_SMTP_PASSWORD_COMMAND",
                )
            pool = SmtpPool(way, self._orders.password if way.user is not None else None, smtp)
            route = self._routes[key] = Route(pool, smtp.max_connections)
        return route

    async def close(self) -> None:
        """Say QUIT everywhere."""
        for route in self._routes.values():
            await route.pool.close()

"""Opening the ledger for a command: the configured queue, the embedded one, or the one the demo left behind."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mailer.backends import embedded
from mailer.backends.redis.connection import explained
from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from mailer.config.environment import with_env_file
from mailer.config.folders import data_dir
from mailer.config.loading import load
from mailer.config.queue import queue_url
from mailer.config.redis_url import redact
from mailer.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailer.cli.invocation import Invocation
    from mailer.config.configuration import Configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a command finds itself in: its configuration and the environment it came from, `.env` included."""

    configuration: "Configuration"
    environ: "Mapping[str, str]"

    @property
    def data_dir(self) -> Path:
        """The folder of the embedded server."""
        return data_dir(self.configuration.queue, self.environ)

    @property
    def demo_dir(self) -> Path:
        """The folder of the demo's own queue, never the user's."""
        return self.data_dir / "demo"


def read_setting(
    invocation: "Invocation", campaign: Path | None = None, flags: "Mapping[str, object] | None" = None
) -> Setting:
    """Load the configuration of a command. Raises `UsageError` E101 to E117."""
    environ = with_env_file(invocation.environ, invocation.env_file)
    configuration = load(campaign, flags=flags or {}, environ=invocation.environ, env_file=invocation.env_file)
    return Setting(configuration=configuration, environ=environ)


@asynccontextmanager
async def open_queue(setting: Setting) -> AsyncIterator[Ledgers]:
    """The ledger of the configured or embedded queue; its errors come out as ours."""
    queue = setting.configuration.queue
    url = queue_url(setting.configuration, setting.environ)
    with explained(redact(url)):
        async with open_ledgers(url, prefix=queue.prefix, lease_s=queue.lease) as ledgers:
            yield ledgers


@asynccontextmanager
async def open_campaign(setting: Setting, wanted: str | None) -> AsyncIterator[tuple[Ledgers, str]]:
    """The ledger that has a campaign, and its full id; what the queue does not know is looked up in the demo's.

    Raises `UsageError` E109 when there is no such campaign.
    """
    async with open_queue(setting) as ledgers:
        found = await ledgers.campaigns.find(wanted)
        if found is not None:
            yield ledgers, found
            return
    left = embedded.status(setting.demo_dir)
    if left is not None:
        with explained(str(setting.demo_dir)):
            async with _demo_ledgers(setting, running=left.running) as ledgers:
                found = await ledgers.campaigns.find(wanted)
                if found is not None:
                    yield ledgers, found
                    return
    if wanted is None:
        raise UsageError("E109", "there is no campaign yet", hint="mailer demo, or mailer send")
    raise UsageError("E109", f"no campaign {wanted!r}", hint="mailer status   lists the ids")


@asynccontextmanager
async def _demo_ledgers(setting: Setting, *, running: bool) -> AsyncIterator[Ledgers]:
    """The demo's queue, started for the moment if the demo has ended."""
    queue = setting.configuration.queue
    url = embedded.ensure(setting.demo_dir)
    try:
        async with open_ledgers(url, prefix=queue.prefix, lease_s=queue.lease) as ledgers:
            yield ledgers
    finally:
        if not running:
            embedded.stop(setting.demo_dir)

"""`mailer watch`: one campaign, live, until nothing more happens by itself."""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mailer.cli.complaints import warn
from mailer.cli.opening import open_campaign, read_setting
from mailer.cli.status import status_document
from mailer.cli.waiting import LOOK_S, Rate
from mailer.flow.reporting import make_report
from mailer.reports.findings import findings
from mailer.reports.live import line, picture
from mailer.vocabulary.campaign import CampaignState, CampaignStatus, PausedBy

if TYPE_CHECKING:
    from mailer.cli.invocation import Invocation
    from mailer.vocabulary.errors import FindingError

LINE_EVERY_S = 2.0
UNREACHABLE, STOPPED_WAITING = 4, 5

Show = Callable[[CampaignStatus, float], None]
"""Shows a status and the rate, messages a second."""


async def watch_campaign(invocation: "Invocation", wanted: str | None) -> int:
    """Show a campaign until it is finished, cancelled or paused; a pause ends with the exit code that `send` has.

    At the end it says what many refusals have in common; while it runs, that would need every recipient's record.
    """
    found: tuple[FindingError, ...] = ()
    async with open_campaign(read_setting(invocation), wanted) as (ledgers, campaign_id):
        rate = Rate()
        with _screen(invocation) as show:
            while True:
                status = await ledgers.campaigns.status(campaign_id)
                show(status, rate.after(status.totals.final))
                if status.is_over and not (status.totals.claimed or status.totals.sending):
                    break
                await asyncio.sleep(LOOK_S)
        if status.totals.refused:
            found = findings(await make_report(ledgers.reading, campaign_id, now=datetime.now(UTC)))
    if invocation.as_json:
        invocation.document(campaign=status_document(status), warnings=[finding.to_dict() for finding in found])
    for finding in found:
        warn(finding, invocation)
    if status.state is not CampaignState.PAUSED:
        return 0
    invocation.say(f"  fix the cause, then: mailer resume {campaign_id}")
    return UNREACHABLE if status.paused_by is PausedBy.SERVICE else STOPPED_WAITING


@contextmanager
def _screen(invocation: "Invocation") -> Iterator[Show]:
    """The way of showing that fits stdout: redrawn on a terminal, lines elsewhere, nothing before the document."""
    if invocation.as_json:
        yield lambda _status, _rate: None
    elif sys.stdout.isatty() and invocation.may_redraw:
        yield from _redrawn(invocation)
    else:
        yield _Lines(invocation)


def _redrawn(invocation: "Invocation") -> Iterator[Show]:
    from rich.console import Console
    from rich.live import Live

    screen = Console(no_color=not invocation.color, markup=False, emoji=False, highlight=False)
    with Live(console=screen, auto_refresh=False) as live:
        yield lambda status, rate: live.update(picture(status, rate=rate, width=invocation.width), refresh=True)


class _Lines:
    """A line every two seconds, and always one for the first look and for the last."""

    def __init__(self, invocation: "Invocation") -> None:
        self._invocation = invocation
        self._said_at = 0.0

    def __call__(self, status: CampaignStatus, rate: float) -> None:
        now = time.monotonic()
        if now - self._said_at >= LINE_EVERY_S or status.is_over:
            self._said_at = now
            self._invocation.data(line(status, rate=rate))

"""A campaign as `mailer watch` shows it: one picture for a terminal that redraws, one line for everything else."""

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mailer.reports.figures import about, grouped, share
from mailer.reports.screen import COLOURS, plain
from mailer.reports.summary import STATES, count_of
from mailer.vocabulary.campaign import CampaignStatus


def picture(status: CampaignStatus, *, rate: float, width: int) -> RenderableType:
    """The campaign now: its states, how far it has come, and at `rate` (messages a second) how long it may take."""
    totals = status.totals
    head = Text.assemble(plain(status.campaign.id, "bold cyan"), "  ", Text(status.state, "bold"))
    if note := _note(status, rate):
        head.append(f"  {note}")
    states = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(2):
        states.add_column(justify="left")
    states.add_column(justify="right")
    for state in STATES:
        if count := count_of(state, totals):
            states.add_row(Text(state, COLOURS[state]), Text(share(count, totals.accepted)), Text(grouped(count)))
    bar = ProgressBar(total=max(totals.accepted, 1), completed=totals.final, width=max(10, min(60, width - 4)))
    done = Text(f"{grouped(totals.final)} of {grouped(totals.accepted)}")
    return Group(head, bar, done, states)


def line(status: CampaignStatus, *, rate: float) -> str:
    """The same in one line of text, without an escape byte."""
    totals = status.totals
    states = " · ".join(f"{count} {state}" for state in STATES if (count := count_of(state, totals)))
    parts = [f"{status.campaign.id} {status.state} {totals.final}/{totals.accepted}", states, _note(status, rate)]
    return plain("  ".join(part for part in parts if part)).plain


def _note(status: CampaignStatus, rate: float) -> str:
    """What stands beside the numbers: the reason why nothing happens, or how fast it goes."""
    if reason := status.paused_reason or status.cancelled_reason:
        return reason
    if rate <= 0 or not status.totals.open:
        return ""
    return f"{rate:.0f} msg/s, about {about(status.totals.open / rate)} left"

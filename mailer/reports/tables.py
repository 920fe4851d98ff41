"""The other tables of the terminal: all campaigns, the reasons of one, its recipient domains."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from rich import box
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from mailer.reports.figures import grouped, share
from mailer.reports.screen import COLOURS, console, drawn, plain
from mailer.reports.summary import count_of, domains_in_brief, most_frequent
from mailer.vocabulary.campaign import CampaignState, CampaignStatus
from mailer.vocabulary.recipient import State
from mailer.vocabulary.report import Report

_CAMPAIGN_COLOURS = {CampaignState.RUNNING: "cyan", CampaignState.PAUSED: "yellow", CampaignState.FINISHED: "green"}
_MOST_DOMAINS = 100
_NOT_SENT = (State.REFUSED, State.FAILED, State.DEFERRED, State.IN_DOUBT)
_NOT_SENT_OF_DOMAIN = (State.DEFERRED, State.REFUSED, State.FAILED, State.SUPPRESSED, State.IN_DOUBT)


def status_table(campaigns: Iterable[CampaignStatus], *, width: int = 100, color: bool = False) -> str:
    """One line a campaign: id, state, how its recipients fare; below them why one is paused, and when one goes on.

    `open` counts all that are not final, the deferred among them. The mark at the end says whether the totals add up.
    """
    statuses = list(campaigns)

    def build(not_sent: "_Columns") -> Table:
        table = _table(["campaign", "state"], ["accepted", "sent", *not_sent.names, "open", ""])
        for status in statuses:
            totals = status.totals
            table.add_row(
                plain(status.campaign.id),
                Text(status.state, _CAMPAIGN_COLOURS.get(status.state, "")),
                Text(grouped(totals.accepted)),
                _count(State.SENT, totals.sent),
                *not_sent.cells({state: count_of(state, totals) for state in _NOT_SENT}),
                Text(grouped(totals.open)),
                Text("✓") if totals.add_up else Text("✗", "bold red"),
            )
        return table

    paused = [
        plain(f"{status.campaign.id} is paused: {status.paused_reason}", "yellow")
        for status in statuses
        if status.paused_reason
    ]
    cancelled = [
        plain(f"{status.campaign.id} is cancelled: {status.cancelled_reason}")
        for status in statuses
        if status.cancelled_reason
    ]
    waiting = [plain(told) for status in statuses if (told := _waits_for(status)) is not None]
    return drawn(_fitting(build, _NOT_SENT, width), *paused, *cancelled, *waiting, width=width, color=color)


def _waits_for(status: CampaignStatus) -> str | None:
    """When a campaign on which nobody works now begins, or goes on."""
    if status.state is CampaignState.SCHEDULED and status.at_ms is not None:
        return f"{status.campaign.id} begins at {_moment_of(status.at_ms)}"
    at_work = status.totals.claimed + status.totals.sending
    if status.state is CampaignState.RUNNING and status.next_due_ms is not None and not at_work:
        return f"{status.campaign.id} goes on at {_moment_of(status.next_due_ms)}"
    return None


def _moment_of(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%SZ}"


def reason_table(report: Report, *, width: int = 100, color: bool = False) -> str:
    """Why recipients were not sent: one line a reason, the most frequent first, with an example and what to do."""
    table = _table([], ["count"])
    longest_example = max((len(reason.example) for reason in report.reasons), default=0)
    for name in ("state", "code", "text", "example", "what to do"):
        # An address is harder to read in two pieces than a sentence is.
        table.add_column(name, overflow="fold", no_wrap=name == "example" and longest_example <= width // 4)
    for reason in most_frequent(report.reasons):
        table.add_row(
            Text(grouped(reason.count)),
            Text(reason.state, COLOURS[reason.state]),
            plain(" ".join(str(part) for part in (reason.code, reason.enhanced_code) if part)),
            plain(reason.text),
            plain(reason.example),
            plain(reason.hint),
        )
    return drawn(table, width=width, color=color)


def domain_table(report: Report, *, problems_first: bool = False, width: int = 100, color: bool = False) -> str:
    """How each recipient domain fared, the largest first, or the one with the largest share of trouble first.

    The first 100 have lines of their own, the others one together.
    """
    brief = domains_in_brief(report.domains, _MOST_DOMAINS, problems_first=problems_first)

    def build(not_sent: "_Columns") -> Table:
        table = _table(["domain"], ["accepted", "sent", *not_sent.names, "sent %"])
        for domain in brief:
            table.add_row(
                plain(domain.domain),
                Text(grouped(domain.accepted)),
                _count(State.SENT, domain.sent),
                *not_sent.cells({state: getattr(domain, state) for state in _NOT_SENT_OF_DOMAIN}),
                Text(share(domain.sent, domain.accepted)),
            )
        return table

    return drawn(_fitting(build, _NOT_SENT_OF_DOMAIN, width), width=width, color=color)


class _Columns:
    """A column for each of some states."""

    def __init__(self, states: Iterable[State]) -> None:
        self.names = [state.value for state in states]

    def cells(self, counts: Mapping[State, int]) -> list[Text]:
        return [_count(state, count) for state, count in counts.items()]


class _OneColumn(_Columns):
    """One column for all of them: it names those that occur."""

    def __init__(self) -> None:
        self.names = ["not sent"]

    def cells(self, counts: Mapping[State, int]) -> list[Text]:
        occurring = [Text(f"{grouped(count)} {state}", COLOURS[state]) for state, count in counts.items() if count]
        return [Text("\n").join(occurring)]


def _fitting(build: Callable[[_Columns], Table], states: Iterable[State], width: int) -> Table:
    """The table with a column a state, or with one for all of them where that is too wide."""
    wide = build(_Columns(states))
    screen = console(width=1000, color=False)
    return wide if Measurement.get(screen, screen.options, wide).maximum <= width else build(_OneColumn())


def _table(texts: Iterable[str], numbers: Iterable[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in texts:
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", overflow="fold")
    return table


def _count(state: State, count: int) -> Text:
    """A number in the colour of its state, and nothing but a dot where there is nothing to see."""
    return Text(grouped(count), COLOURS[state]) if count else Text("·", "bright_black")

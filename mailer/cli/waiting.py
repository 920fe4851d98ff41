"""Waiting for a campaign: a progress bar on a terminal, a line every ten seconds elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from mailer.cli.invocation import Invocation
    from mailer.vocabulary.campaign import CampaignStatus

LOOK_S = 0.2
LINE_EVERY_S = 10.0


class Progress(Protocol):
    """Shows how far something has come."""

    def show(self, done: int, total: int, note: str = "") -> None:
        """Say where it stands now; may be called as often as one likes."""

    def make_room(self) -> None:
        """Draw nothing any more: a question stands below."""


@contextmanager
def progress(invocation: "Invocation", name: str) -> Iterator[Progress]:
    """The way of showing progress that fits the place stderr goes to."""
    if invocation.live:
        yield from _bar(invocation, name)
    else:
        yield _Lines(invocation, name)


def _bar(invocation: "Invocation", name: str) -> Iterator[Progress]:
    import sys

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress
    from rich.table import Column
    from rich.text import Text

    class Note(ProgressColumn):
        """What gives way on a narrow terminal; the numbers do not."""

        def render(self, task: Task) -> Text:
            return Text(task.fields["note"], no_wrap=True, overflow="ellipsis")

    # What other lines say is no markup: `[y/N]` would be taken for a tag.
    console = Console(
        file=sys.stderr,
        no_color=not invocation.color_live,
        force_terminal=True,
        markup=False,
        emoji=False,
        highlight=False,
    )
    columns = (
        TextColumn("  {task.description}", markup=False, table_column=Column(no_wrap=True)),
        BarColumn(bar_width=24, table_column=Column(no_wrap=True)),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        Note(),
        TimeElapsedColumn(table_column=Column(no_wrap=True)),
    )
    with RichProgress(*columns, console=console) as bar:
        yield _Bar(bar, name)


class _Bar:
    def __init__(self, bar: "RichProgress", name: str) -> None:
        self._bar = bar
        self._task = bar.add_task(name, total=None, note="")

    def show(self, done: int, total: int, note: str = "") -> None:
        self._bar.update(self._task, completed=done, total=total or None, note=note)

    def make_room(self) -> None:
        self._bar.stop()


class _Lines:
    def __init__(self, invocation: "Invocation", name: str) -> None:
        self._invocation = invocation
        self._name = name
        self._said_at = time.monotonic()

    def show(self, done: int, total: int, note: str = "") -> None:
        if time.monotonic() - self._said_at >= LINE_EVERY_S:
            self._said_at = time.monotonic()
            of = f"/{total}" if total else ""
            self._invocation.say(f"{self._name}: {done}{of} {note}".rstrip())

    def make_room(self) -> None:
        """Lines are in nobody's way."""


class Rate:
    """Messages a second, over the last two seconds or so."""

    def __init__(self) -> None:
        self._samples: list[tuple[float, int]] = []

    def after(self, done: int) -> float:
        """The rate now that so many are done."""
        now = time.monotonic()
        self._samples = [*(sample for sample in self._samples if now - sample[0] < 2.0), (now, done)]
        (then, before) = self._samples[0]
        return (done - before) / (now - then) if now > then else 0.0


def note_of(status: "CampaignStatus", rate: float) -> str:
    """What a progress line says beside the numbers."""
    totals = status.totals
    troubles = {
        "refused": totals.refused,
        "failed": totals.failed,
        "deferred": totals.deferred,
        "in doubt": totals.in_doubt,
    }
    told = " · ".join(f"{count} {name}" for name, count in troubles.items() if count)
    return f"{rate:.0f} msg/s" + (f" · {told}" if told else "")


def is_over(status: "CampaignStatus") -> bool:
    """True when nothing more will happen by itself."""
    return status.is_over

"""The delivery report as a terminal shows it."""

from datetime import datetime

from rich import box
from rich.console import RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mailer.reports.figures import clock, grouped, span
from mailer.reports.screen import COLOURS, console, drawn, plain
from mailer.reports.summary import left_out, standing, state_lines, sums
from mailer.vocabulary.report import Report

_MARGIN = 2
_NARROWEST_SCREEN = 40
"""Columns without which numbers would be cut; a narrower terminal breaks the lines itself."""
_NARROWEST_TABLE = 72
"""Columns the table has at least, where the terminal has them: the head line shall fit above it."""


def report_text(
    report: Report,
    *,
    width: int = 100,
    color: bool = False,
    next_try: datetime | None = None,
    note: str = "",
) -> str:
    """The delivery report in at most `width` columns; with `color` false there is no escape byte in it.

    `next_try` is when the first deferred recipient is tried again; `note` is added to the last line, for instance where
    the report was saved.
    """
    width = max(width, _NARROWEST_SCREEN)
    room = width - _MARGIN
    table = _table(report, next_try, room)
    across = Measurement.get(screen := console(width=room, color=False), screen.options, table).maximum
    parts: list[RenderableType] = [_head(report, across)]
    if said := standing(report.campaign):
        parts.append(plain(said, "yellow"))
    if table.row_count:
        parts.append(table)
    parts.append(_checks(report, note, room))
    return drawn(*(Padding(part, (0, 0, 0, _MARGIN)) for part in parts), width=width, color=color)


def _head(report: Report, across: int) -> RenderableType:
    title = Text.assemble(("Delivery report", "bold"), "  ", plain(report.campaign.id, "bold cyan"))
    moment = plain(clock(report.as_of))
    if report.campaign.elapsed_s is not None:
        moment.append(f" · {span(report.campaign.elapsed_s)}")
    blanks = across - 1 - title.cell_len - moment.cell_len
    between = " " * blanks if blanks >= 2 else "\n"
    return Text.assemble(title, between, moment)


def _table(report: Report, next_try: datetime | None, room: int) -> Table:
    table = Table(box=box.SQUARE, show_header=False, min_width=min(_NARROWEST_TABLE, room))
    table.add_column(min_width=10, no_wrap=True)
    table.add_column(min_width=5, no_wrap=True, justify="right")
    table.add_column(ratio=1, overflow="fold")
    for line in state_lines(report, next_try=next_try):
        style = COLOURS[line.state]
        table.add_row(Text(line.state, style), Text(grouped(line.count)), plain(line.explanation))
    table.add_section()
    if kinds := left_out(report.totals):
        table.add_row(Text("left out"), Text(grouped(report.totals.invalid + report.totals.duplicate)), Text(kinds))
    return table


def _checks(report: Report, note: str, room: int) -> RenderableType:
    rows, accepted = sums(report.totals)
    last = Text(str(accepted), "" if accepted.holds else "bold red")
    if note:
        remark = plain(note)
        fits = len("check") + 2 + last.cell_len + 6 + remark.cell_len <= room
        last = Text.assemble(last, " " * 6 if fits else "\n", remark)
    checks = Table.grid(padding=(0, 2, 0, 0))
    checks.add_column(no_wrap=True)
    checks.add_column(overflow="fold")
    checks.add_row(Text("check"), Text(str(rows), "" if rows.holds else "bold red"))
    checks.add_row("", last)
    if not (rows.holds and accepted.holds):
        checks.add_row("", Text.assemble("recount the ledger:  mailer status ", plain(report.campaign.id), " --verify"))
    return checks

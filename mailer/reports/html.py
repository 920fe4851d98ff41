"""The delivery report as one HTML page: no network, no other file, small however many recipients there were."""

from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TextIO

from jinja2 import Environment, PackageLoader, StrictUndefined

from mailer.reports.document import RECORD_KEYS
from mailer.reports.figures import clock, grouped, moment, share, span
from mailer.reports.findings import findings
from mailer.reports.listing import Row
from mailer.reports.stacked_bar import GAP, LENGTH, segments
from mailer.reports.summary import domains_in_brief, left_out, most_frequent, standing, state_lines, sums
from mailer.vocabulary.line import Line, line_of
from mailer.vocabulary.recipient import State
from mailer.vocabulary.reply import sanitise
from mailer.vocabulary.report import Report

_ROWS_GO_HERE = "<!-- rows -->"
"""Where the page is cut in two. Data cannot contain it: every `<` of theirs is escaped."""

ONLY_COUNTED = frozenset({State.SENT, State.QUEUED, State.CLAIMED, State.SENDING})
"""States without a row of their own: those that went well, and those that nothing has happened to yet."""


_MOST_DOMAINS = 1000
_NOBODY = '<tr><td colspan="6">Nobody.</td></tr>\n'


class HtmlPage:
    """Writes the page, with a table row for every recipient that was tried and not sent, and every row left out.

    Those that were sent or are still waiting are in the totals only. `next_try` is when the first deferred recipient is
    tried again.
    """

    def __init__(self, report: Report, stream: TextIO, *, next_try: datetime | None = None) -> None:
        self._write = stream.write
        self._render_row = _environment().get_template("recipient.html.j2").render
        before, _, self._after = _page(report, next_try).partition(_ROWS_GO_HERE)
        self._write(before)
        self._listed = 0

    def add(self, row: Row) -> None:
        """Write a table row, unless this recipient is only counted."""
        self.extend((line_of(row),))

    def extend(self, lines: Sequence[Line]) -> None:
        """Write many table rows."""
        for line in lines:
            if line.state not in ONLY_COUNTED:
                self._write(self._render_row(zip(RECORD_KEYS, line, strict=True)))
                self._listed += 1

    def end(self) -> None:
        """Close the table and the page."""
        self._write(self._after if self._listed else _NOBODY + self._after)


def _page(report: Report, next_try: datetime | None) -> str:
    style, script = _part("report.css"), _part("report.js")
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            campaign=report.campaign,
            totals=report.totals,
            lines=state_lines(report, next_try=next_try),
            sums=sums(report.totals),
            left_out=left_out(report.totals),
            standing=standing(report.campaign),
            findings=findings(report),
            bar=segments(report.totals),
            bar_length=LENGTH - GAP,
            reasons=most_frequent(report.reasons),
            domains=domains_in_brief(report.domains, _MOST_DOMAINS),
            style=style,
            script=script,
            style_hash=_csp_hash(style),
            script_hash=_csp_hash(script),
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("mailer.reports", "page"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"grouped": grouped, "clock": clock, "moment": moment, "span": span, "share": share}
    return environment


def _shown(value: object) -> object:
    """The last thing that happens to a value before it is escaped: controls and bidirectional marks go."""
    if value is None:
        return ""
    # Nearly all text is printable throughout, and asking is ten times faster than cleaning.
    if not isinstance(value, str) or value.isprintable() or hasattr(value, "__html__"):
        return value
    return sanitise(value)


@cache
def _part(name: str) -> str:
    return (files("mailer.reports") / "page" / name).read_text("utf-8")


def _csp_hash(source: str) -> str:
    return f"'sha256-{b64encode(sha256(source.encode()).digest()).decode()}'"

"""`mailer report`: what happened to every recipient, in the form that is asked for."""

import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from mailer.backends.redis.lines import Wanted
from mailer.cli.complaints import warn
from mailer.cli.opening import open_campaign, read_setting
from mailer.flow.reporting import make_report
from mailer.reports.csv_export import CsvExport
from mailer.reports.document import report_json
from mailer.reports.files import whole
from mailer.reports.findings import findings
from mailer.reports.html import ONLY_COUNTED, HtmlPage
from mailer.reports.json_document import JsonDocument
from mailer.reports.json_lines import JsonLines
from mailer.reports.redaction import Redaction
from mailer.reports.tables import domain_table, reason_table
from mailer.reports.terminal import report_text
from mailer.vocabulary.campaign import CampaignState
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.line import line_of
from mailer.vocabulary.recipient import FINAL_STATES, OPEN_STATES, LeftOut, LeftOutAs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailer.backends.redis.ledgers import Ledgers
    from mailer.cli.invocation import Invocation
    from mailer.reports.listing import Listing, Row
    from mailer.vocabulary.campaign import Campaign, CampaignStatus
    from mailer.vocabulary.line import Line
    from mailer.vocabulary.report import Report

SOME_NOT_SENT, UNFINISHED = 1, 5
_LEFT_OUT = frozenset(LeftOutAs)
FORMS = ("table", "html", "csv", "json", "jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFlags:
    """The flags of `mailer report`, as given."""

    states: tuple[str, ...] = ()
    domain: str | None = None
    form: str = "table"
    output: Path | None = None
    problems_first: bool = False
    all_rows: bool = False
    redact: bool = False
    raw: bool = False
    exit_code: bool = False

    @property
    def selects(self) -> bool:
        """True when only some recipients are asked for."""
        return bool(self.states or self.domain)

    def wants(self, row: LeftOut) -> bool:
        """True for a row left out that is asked for."""
        domain = row.email.rpartition("@")[2]
        return (not self.states or row.kind in self.states) and (self.domain is None or domain == self.domain.lower())

    @property
    def wanted(self) -> Wanted:
        """The recipients that are asked for, and appear in this form at all."""
        known = (*OPEN_STATES, *FINAL_STATES)
        states = [state for state in known if not self.states or state in self.states]
        if self.form == "html":
            states = [state for state in states if state not in ONLY_COUNTED]
        return Wanted(frozenset(states), self.domain.lower() if self.domain is not None else None)


async def show_report(invocation: "Invocation", wanted: str | None, flags: ReportFlags) -> int:
    """Write the report of a campaign, to stdout or into a file."""
    _check(flags)
    if invocation.as_json and flags.form == "table":
        flags = replace(flags, form="json")
    setting = read_setting(invocation)
    async with open_campaign(setting, wanted) as (ledgers, campaign_id):
        status = await ledgers.reading.status(campaign_id)
        report = await make_report(ledgers.reading, campaign_id, now=datetime.now(UTC))
        redaction = Redaction() if flags.redact else None
        shown = redaction.report(report) if redaction is not None else report
        with ExitStack() as stack:
            stream = stack.enter_context(whole(flags.output)) if flags.output is not None else sys.stdout
            listing = _listing(invocation, shown, flags, stream, _next_try(status))
            if listing is not None:
                async for lines in _lines(ledgers, status.campaign, flags):
                    listing.extend([redaction.line(line) for line in lines] if redaction is not None else lines)
                listing.end()
    if flags.output is not None:
        invocation.say(f"written: {flags.output}")
    for finding in findings(shown):
        warn(finding, invocation)
    return campaign_exit_code(report) if flags.exit_code else 0


def campaign_exit_code(report: "Report") -> int:
    """0 when everybody who was to get it got it, 1 when somebody did not, 5 while it is not decided."""
    if report.campaign.state not in (CampaignState.FINISHED, CampaignState.CANCELLED):
        return UNFINISHED
    totals = report.totals
    return SOME_NOT_SENT if totals.refused + totals.failed + totals.in_doubt + totals.cancelled else 0


async def print_report(invocation: "Invocation", ledgers: "Ledgers", campaign_id: str, note: str = "") -> "Report":
    """The report at the end of a command: the table, or under `--json` the document."""
    report = await make_report(ledgers.reading, campaign_id, now=datetime.now(UTC))
    status = await ledgers.reading.status(campaign_id)
    if invocation.as_json:
        invocation.data(report_json(report))
    else:
        next_try = _next_try(status)
        invocation.data(
            report_text(report, width=invocation.width, color=invocation.color, next_try=next_try, note=note)
        )
    for finding in findings(report):
        warn(finding, invocation)
    return report


def _next_try(status: "CampaignStatus") -> datetime | None:
    return datetime.fromtimestamp(status.next_due_ms / 1000, UTC) if status.next_due_ms else None


def _check(flags: ReportFlags) -> None:
    if flags.form not in FORMS:
        raise UsageError("E101", f"--format {flags.form}: one of {', '.join(FORMS)}")
    known = {*(state.value for state in (*OPEN_STATES, *FINAL_STATES)), *_LEFT_OUT}
    for state in flags.states:
        if state not in known:
            raise UsageError("E101", f"--state {state}: one of {', '.join(sorted(known))}")


def _listing(
    invocation: "Invocation", report: "Report", flags: ReportFlags, stream: TextIO, next_try: datetime | None
) -> "Listing | None":
    """What takes the rows, or None when the form needs none (it is written then)."""
    match flags.form:
        case "html":
            return HtmlPage(report, stream, next_try=next_try)
        case "csv":
            return CsvExport(stream, raw=flags.raw)
        case "jsonl":
            return JsonLines(stream)
        case "json" if flags.selects:
            return JsonDocument(report, stream)
        case "json":
            stream.write(report_json(report) + "\n")
            return None
    color = invocation.color and flags.output is None
    if flags.selects:
        return RecipientTable(stream, color=color)
    parts = [report_text(report, width=invocation.width, color=color, next_try=next_try)]
    if report.reasons:
        parts.append(reason_table(report, width=invocation.width, color=color))
    if len(report.domains) > 1:
        parts.append(domain_table(report, problems_first=flags.problems_first, width=invocation.width, color=color))
    stream.write("\n\n".join(part.rstrip("\n") for part in parts) + "\n")
    return None


class RecipientTable:
    """One line for each recipient, for `--refused`, `--state` and `--domain` on the terminal."""

    def __init__(self, stream: TextIO, *, color: bool) -> None:
        self._stream = stream

    def add(self, row: "Row") -> None:
        """Write one line."""
        self.extend((line_of(row),))

    def extend(self, lines: "Sequence[Line]") -> None:
        """Write many lines."""
        for line in lines:
            words = f"{line.code or ''} {line.enhanced_code or ''} {line.text or ''}"
            if line.state in _LEFT_OUT:
                words = line.reason or ""
            self._stream.write(f"{line.row:>7}  {line.state:<10}  {line.email}  {' '.join(words.split())}\n")

    def end(self) -> None:
        """Nothing is left to say."""


async def _lines(ledgers: "Ledgers", campaign: "Campaign", flags: ReportFlags) -> AsyncIterator["Sequence[Line]"]:
    """The rows that are asked for; those that were left out stand in their places among the recipients."""
    left_out = _left_out(ledgers, campaign, flags)
    waiting = await anext(left_out, None)
    if flags.wanted.states:
        async for lines in ledgers.reading.lines(campaign, flags.wanted):
            among = []
            for line in lines if waiting is not None else ():
                while waiting is not None and waiting.row < line.row:
                    among.append(line_of(waiting))
                    waiting = await anext(left_out, None)
                among.append(line)
            yield among or lines
    while waiting is not None:
        yield [line_of(waiting)]
        waiting = await anext(left_out, None)


async def _left_out(ledgers: "Ledgers", campaign: "Campaign", flags: ReportFlags) -> AsyncIterator[LeftOut]:
    if flags.all_rows or {"invalid", "duplicate"} & set(flags.states):
        async for row in ledgers.reading.left_out(campaign):
            if flags.wants(row):
                yield row

"""Reports to show: the demo's, one that is still running, and one whose every word was written by an enemy."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from mailer.reports.listing import Row
from mailer.vocabulary.campaign import Campaign, CampaignState, CampaignStatus, PausedBy
from mailer.vocabulary.outcome import Class
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.recipient import LeftOut, LeftOutAs, State
from mailer.vocabulary.report import (
    CampaignHead,
    DomainCount,
    Percentiles,
    ReasonCount,
    RecipientRecord,
    Report,
)
from mailer.vocabulary.settings import DeliverySettings, SmtpSettings
from mailer.vocabulary.totals import Totals

STARTED = datetime(2026, 11, 21, 7, 21, 26, 400_000, tzinfo=UTC)
AS_OF = datetime(2026, 11, 21, 7, 21, 28, 512_000, tzinfo=UTC)
NEXT_TRY = AS_OF + timedelta(seconds=287)

HEAD = CampaignHead(
    id="autumn-offer-7f3c",
    name="autumn-offer",
    key="autumn-2026",
    state=CampaignState.RUNNING,
    paused_reason=None,
    source_complete=True,
    template="autumn-offer",
    template_sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    sender="Acme <news@acme.example>",
    server="localhost:1025",
    tls="TLSv1.3 TLS_AES_256_GCM_SHA384",
    rate=None,
    created=STARTED - timedelta(seconds=1),
    started=STARTED,
    finished=None,
    elapsed_s=2.112,
    mean_rate=471.6,
    peak_rate=533.0,
    version="0.1.0",
)

TOTALS = Totals(
    rows=1000, invalid=1, duplicate=3, accepted=996, deferred=4, sent=983, refused=6, failed=1, suppressed=1, in_doubt=1
)

REASONS = (
    ReasonCount(
        state=State.REFUSED,
        code=550,
        enhanced_code="5.1.1",
        text="unknown user",
        phase=Phase.RCPT,
        failure=Class.PERMANENT,
        count=3,
        example="bounce+550@mail.example",
        hint="remove these addresses from the list",
    ),
    ReasonCount(
        state=State.REFUSED,
        code=552,
        enhanced_code="5.2.2",
        text="full",
        phase=Phase.RCPT,
        failure=Class.PERMANENT,
        count=2,
        example="full+552@mail.example",
        hint="the mailbox is full: try these again in a week",
    ),
    ReasonCount(
        state=State.REFUSED,
        code=554,
        enhanced_code="5.7.1",
        text=None,
        phase=Phase.DOT,
        failure=Class.PERMANENT,
        count=1,
        example="reject+554@post.example",
        hint="the content was refused: mailer doctor --dns acme.example",
    ),
    ReasonCount(
        state=State.DEFERRED,
        code=451,
        enhanced_code="4.3.0",
        text="try again later",
        phase=Phase.RCPT,
        failure=Class.TEMPORARY,
        count=4,
        example="defer+451@post.example",
        hint="nothing to do: they are tried again",
    ),
    ReasonCount(
        state=State.FAILED,
        code=None,
        enhanced_code=None,
        text="row 512: the template needs first_name",
        phase=Phase.BUILD,
        failure=Class.LOCAL,
        count=1,
        example="nameless@mail.example",
        hint='{{ first_name | default("there") }}',
    ),
    ReasonCount(
        state=State.IN_DOUBT,
        code=None,
        enhanced_code=None,
        text="connection lost after the final dot",
        phase=Phase.DOT,
        failure=Class.UNKNOWN,
        count=1,
        example="drop@post.example",
        hint="look for the Message-ID in the server's log, then: mailer resolve",
    ),
)

DOMAINS = (
    DomainCount(
        domain="mail.example", accepted=700, sent=693, deferred=0, refused=5, failed=1, suppressed=1, in_doubt=0
    ),
    DomainCount(
        domain="post.example", accepted=296, sent=290, deferred=4, refused=1, failed=0, suppressed=0, in_doubt=1
    ),
)

REPORT = Report(
    as_of=AS_OF,
    campaign=HEAD,
    totals=TOTALS,
    reasons=REASONS,
    domains=DOMAINS,
    refused={
        "bounce+550@mail.example": (550, "5.1.1 unknown user"),
        "bounce+550-2@mail.example": (550, "5.1.1 unknown user"),
        "bounce+550-3@mail.example": (550, "5.1.1 unknown user"),
        "full+552@mail.example": (552, "5.2.2 full"),
        "full+552-2@mail.example": (552, "5.2.2 full"),
        "reject+554@post.example": (554, "5.7.1"),
    },
    timings={
        "queue_wait": Percentiles(p50=640, p95=1490, p99=1712),
        "transaction": Percentiles(p50=9, p95=21, p99=48),
    },
    attempts={1: 993, 2: 1},
)
"""The demo's report, as interface.md shows it."""

PAUSED = replace(
    REPORT,
    campaign=replace(HEAD, state=CampaignState.PAUSED, paused_reason="5 refusals in a row: 550 5.7.1 content rejected"),
    totals=Totals.of(
        {"queued": 1_204_000, "sending": 3, "claimed": 47, "sent": 250_000, "refused": 6}, invalid=0, duplicate=0
    ),
    reasons=REASONS[:3],
)
"""Stopped on the way, with more than a million recipients to go."""


def status(report: Report) -> CampaignStatus:
    """Where the campaign of a report stands, as the ledger tells it."""
    head = report.campaign
    return CampaignStatus(
        campaign=Campaign(
            id=head.id,
            name=head.name,
            key=head.key,
            fingerprint="f00d",
            template=head.template,
            template_sha256=head.template_sha256,
            sender=head.sender,
            reverse_path="news@acme.example",
            source="people.csv",
            smtp=SmtpSettings(),
            delivery=DeliverySettings(),
            salt="5a17",
            created_ms=0,
            version=head.version,
        ),
        state=head.state,
        totals=report.totals,
        source_complete=head.source_complete,
        paused_reason=head.paused_reason,
        paused_by=PausedBy.REFUSALS if head.paused_reason else None,
    )


CAMPAIGNS = (status(REPORT), status(replace(PAUSED, campaign=replace(PAUSED.campaign, id="newsletter-1a2b"))))


def tried(row: int, email: str, state: State, **known: object) -> RecipientRecord:
    """A record of a recipient that was tried once, with what every such record has."""
    begun = STARTED + timedelta(milliseconds=row)
    record = RecipientRecord(
        row=row,
        email=email,
        state=state,
        attempts=1,
        first_try=begun,
        last_try=begun + timedelta(milliseconds=9),
        queue_ms=row,
        smtp_ms=9,
        message_id=f"<{row:08x}.7f3c@acme.example>",
        relay="localhost:1025",
        worker="host-4711",
        tls="TLSv1.3",
    )
    return replace(record, **known)  # type: ignore[arg-type]  # the fields of the record, by name


def refused(row: int, email: str, code: int, enhanced_code: str, text: str | None, phase: Phase) -> RecipientRecord:
    """A recipient the server said no to."""
    return tried(
        row,
        email,
        State.REFUSED,
        code=code,
        enhanced_code=enhanced_code,
        text=text,
        phase=phase,
        failure=Class.PERMANENT,
    )


def deferred(row: int) -> RecipientRecord:
    """A recipient the server does not want yet."""
    return tried(
        row,
        f"defer+451-{row}@post.example",
        State.DEFERRED,
        code=451,
        enhanced_code="4.3.0",
        text="try again later",
        phase=Phase.RCPT,
        failure=Class.TEMPORARY,
        next_try=NEXT_TRY,
    )


def sent(row: int, email: str) -> RecipientRecord:
    """A recipient whose message the server has taken."""
    return tried(
        row,
        email,
        State.SENT,
        code=250,
        enhanced_code="2.0.0",
        text=f"Ok: queued as 4XyZ{row}",
        phase=Phase.DOT,
        server_queue_id=f"4XyZ{row}",
    )


RECORDS = (
    sent(1, "ann@mail.example"),
    sent(2, "bert@mail.example"),
    refused(3, "bounce+550@mail.example", 550, "5.1.1", "unknown user", Phase.RCPT),
    refused(4, "bounce+550-2@mail.example", 550, "5.1.1", "unknown user", Phase.RCPT),
    refused(5, "bounce+550-3@mail.example", 550, "5.1.1", "unknown user", Phase.RCPT),
    refused(6, "full+552@mail.example", 552, "5.2.2", "full", Phase.RCPT),
    refused(7, "full+552-2@mail.example", 552, "5.2.2", "full", Phase.RCPT),
    refused(8, "reject+554@post.example", 554, "5.7.1", None, Phase.DOT),
    *(deferred(row) for row in (9, 10, 11, 12)),
    replace(sent(13, "greylist@post.example"), attempts=2),
    tried(
        14,
        "drop@post.example",
        State.IN_DOUBT,
        text="connection lost after the final dot",
        phase=Phase.DOT,
        failure=Class.UNKNOWN,
        reason="cut",
    ),
    RecipientRecord(row=15, email="leave.me@mail.example", state=State.SUPPRESSED),
    RecipientRecord(
        row=512,
        email="nameless@mail.example",
        state=State.FAILED,
        text="row 512: the template needs first_name",
        phase=Phase.BUILD,
        failure=Class.LOCAL,
        reason="build",
    ),
)
"""Every outcome of the demo, and three of its 983 recipients that were sent."""

LEFT_OUT = (
    LeftOut(row=88, email="bob@@acme.example", kind=LeftOutAs.INVALID, reason="two @ signs"),
    LeftOut(row=901, email="ann@mail.example", kind=LeftOutAs.DUPLICATE, reason="the same address as row 1"),
    LeftOut(row=902, email="bert@mail.example", kind=LeftOutAs.DUPLICATE, reason="the same address as row 2"),
    LeftOut(row=903, email="ann@mail.example", kind=LeftOutAs.DUPLICATE, reason="the same address as row 1"),
)

ROWS: tuple[Row, ...] = (*RECORDS, *LEFT_OUT)

ENMITY = (
    "\x1b[2J\x1b[31mred",
    "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "\x9b31m",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></style></table><h1>mine",
    "<!-- rows -->",
    "\u202egnp.exe\u202c \u2066isolated\u2069 \u200f",
    "[bold]markup[/bold] [link=https://evil.example]x[/link] :smile:",
    "=cmd|'/c calc'!A1",
    "{{ 7 * 7 }}{% for %}",
    "line\r\nbreak\ttab\x00nul",
)
"""What a server's reply, a name or a list may contain to harm whoever reads the report."""


def hostile_report(words: str) -> Report:
    """A report with these words in every place that others can write to."""
    head = replace(
        HEAD,
        id=words,
        name=words,
        key=words,
        state=CampaignState.PAUSED,
        paused_reason=words,
        template=words,
        sender=words,
        server=words,
        tls=words,
        rate=words,
        version=words,
    )
    return replace(
        REPORT,
        campaign=head,
        reasons=tuple(
            replace(reason, text=words, enhanced_code=words, example=words, hint=words) for reason in REASONS
        ),
        domains=tuple(replace(domain, domain=words) for domain in DOMAINS),
        refused={words: (550, words)},
        timings={words: Percentiles(p50=1, p95=2, p99=3)},
    )


def hostile_rows(words: str) -> tuple[Row, ...]:
    """A refused recipient and a row left out, with these words in every place that others can write to."""
    return (
        replace(
            RECORDS[2],
            email=words,
            enhanced_code=words,
            text=words,
            reason=words,
            message_id=words,
            server_queue_id=words,
            relay=words,
            worker=words,
            tls=words,
        ),
        LeftOut(row=1, email=words, kind=LeftOutAs.INVALID, reason=words),
    )

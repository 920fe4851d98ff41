"""A report and a recipient's record as JSON documents; their schemas lie beside this file."""

from dataclasses import asdict
from datetime import datetime

import msgspec

from mailer.reports.figures import moment
from mailer.reports.findings import findings
from mailer.vocabulary.line import Line
from mailer.vocabulary.report import CampaignHead, ReasonCount, Report

SCHEMA_VERSION = 1
"""Within a version keys are added, never renamed or removed."""

RECORD_KEYS = tuple("class" if name == "failure" else name for name in Line._fields)
"""The keys of a record, in the order of every format."""


def report_document(report: Report) -> dict[str, object]:
    """The JSON document of a report: JSON types only, keys always in the same order, times ISO 8601 in UTC."""
    return {
        "schema_version": SCHEMA_VERSION,
        "as_of": moment(report.as_of),
        "campaign": _campaign(report.campaign),
        "totals": report.totals.to_dict(),
        "reasons": [_reason(reason) for reason in report.reasons],
        "domains": [asdict(domain) for domain in report.domains],
        "refused": {address: list(answer) for address, answer in report.refused.items()},
        "timings": {name: asdict(percentiles) for name, percentiles in report.timings.items()},
        "attempts": {str(attempts): report.attempts[attempts] for attempts in sorted(report.attempts)},
        "messages_url": None,
        "warnings": [finding.to_dict() for finding in findings(report)],
    }


def report_json(report: Report) -> str:
    """The same document as one line of text, without a line break at its end."""
    return msgspec.json.encode(report_document(report)).decode()


def _moment(time: datetime | None) -> str | None:
    return None if time is None else moment(time)


def _campaign(head: CampaignHead) -> dict[str, object]:
    times = {name: _moment(getattr(head, name)) for name in ("created", "started", "finished")}
    return asdict(head) | times


def _reason(reason: ReasonCount) -> dict[str, object]:
    return {"class" if name == "failure" else name: value for name, value in asdict(reason).items()}

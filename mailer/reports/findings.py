"""What a report shows at a glance and a reader of nine hundred lines would miss: warnings, one for each receiver."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from mailer.policy.providers import receiver_of
from mailer.policy.reasons import blames_sending_domain
from mailer.policy.reply_table.words import DOMAIN_FAILS
from mailer.reports.figures import grouped
from mailer.vocabulary.errors import FindingError
from mailer.vocabulary.report import Report


def findings(report: Report) -> tuple[FindingError, ...]:
    """W441 for each receiver (Gmail, Outlook.com, …) that refused messages because of the sending domain."""
    return tuple(_domain_failures(report))


def _domain_failures(report: Report) -> Iterator[FindingError]:
    replies: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for address, (code, words) in report.refused.items():
        enhanced_code = words.partition(" ")[0]
        if blames_sending_domain(enhanced_code):
            replies[receiver_of(address.rpartition("@")[2])][f"{code} {enhanced_code}"] += 1
    sender = report.campaign.sender.rpartition("@")[2].rstrip("> ")
    for receiver, counts in sorted(replies.items(), key=lambda item: -item[1].total()):
        messages = "1 message" if counts.total() == 1 else f"{grouped(counts.total())} messages"
        reply = counts.most_common(1)[0][0]
        yield FindingError(
            "W441",
            f"{receiver} refused {messages}: {reply} – {DOMAIN_FAILS}",
            why="It is about you and not about the recipients: whoever takes much mail wants all three.",
            hint=f"publish SPF, DKIM and DMARC for {sender} in DNS, then: mailer retry {report.campaign.id} --code 550",
            cause=", ".join(f"{said} ×{count}" for said, count in counts.most_common()),
        )

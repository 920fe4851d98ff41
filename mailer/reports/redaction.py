"""Addresses made unreadable: who it was stays hidden, how many and which domains stay visible."""

import re
import secrets
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import overload

from mailer.reports.listing import Row
from mailer.vocabulary.line import Line
from mailer.vocabulary.recipient import LeftOut
from mailer.vocabulary.report import ReasonCount, RecipientRecord, Report

_DOMAIN = r"(?:[\w-]+\.)*[\w-]+"
_ADDRESS = rf"""(?:"[^"]*"|[^\s<>()\[\]\\,;:"'=@]+)@(?:\[[^\]\s]*\]|{_DOMAIN})?"""
_any_address = re.compile(_ADDRESS)
_domain = re.compile(_DOMAIN)


@dataclass(frozen=True, slots=True)
class Redaction:
    """Replaces local parts by a hash that is the same throughout one report and different in the next.

    The hash covers the whole address, so that the same local part at two domains does not show as one person. Make one
    for the report and all of its records; the salt is random and kept nowhere.
    """

    salt: bytes = field(default_factory=lambda: secrets.token_bytes(16), repr=False)

    def address(self, address: str) -> str:
        """`ann@shop.example` as `~5f1c2a9e0b7d4386@shop.example`; all of it as a hash where no domain can be seen."""
        digest = blake2b(address.encode("utf-8", "surrogatepass"), digest_size=8, key=self.salt).hexdigest()
        _, at, domain = address.rpartition("@")
        return f"~{digest}@{domain}" if at and _domain.fullmatch(domain) else f"~{digest}"

    @overload
    def text(self, text: str, address: str = "") -> str: ...
    @overload
    def text(self, text: str | None, address: str = "") -> str | None: ...
    def text(self, text: str | None, address: str = "") -> str | None:
        """A text in which every address is redacted, and of `address`, which it is about, the bare local part too.

        Servers like to repeat either. A local part that is also a word of the text goes with it: this errs on the side
        of hiding.
        """
        if text is None:
            return None
        redacted = self.address(address)
        known = {address.lower(): redacted, address.rpartition("@")[0].lower(): redacted.partition("@")[0]}
        said = [re.escape(name) for name in known if name and name in text.lower()]
        # Compiling costs more than all the rest, and most texts name nobody.
        pattern = _any_address
        if said:
            pattern = re.compile(rf"(?<![\w.+-])(?:{'|'.join(said)})(?![\w+-])|{_ADDRESS}", re.IGNORECASE)
        return pattern.sub(lambda found: known.get(found[0].lower()) or self.address(found[0]), text)

    def row(self, row: Row) -> Row:
        """A recipient's record, or a row left out, with the address redacted wherever it stands."""
        if isinstance(row, LeftOut):
            return replace(row, email=self.address(row.email), reason=self.text(row.reason, row.email))
        return self.record(row)

    def record(self, record: RecipientRecord) -> RecipientRecord:
        """A recipient's record with the address redacted wherever it stands."""
        return replace(
            record,
            email=self.address(record.email),
            text=self.text(record.text, record.email),
            reason=self.text(record.reason, record.email),
        )

    def line(self, line: Line) -> Line:
        """A line of a list with the address redacted wherever it stands."""
        return line._replace(
            email=self.address(line.email),
            text=self.text(line.text, line.email),
            reason=self.text(line.reason, line.email),
        )

    def report(self, report: Report) -> Report:
        """A report with the recipients' addresses redacted in `refused`, in the examples and in every text."""
        return replace(
            report,
            campaign=replace(
                report.campaign,
                paused_reason=self.text(report.campaign.paused_reason),
                cancelled_reason=self.text(report.campaign.cancelled_reason),
            ),
            reasons=tuple(self._reason(reason) for reason in report.reasons),
            refused={
                self.address(address): (code, self.text(words, address))
                for address, (code, words) in report.refused.items()
            },
        )

    def _reason(self, reason: ReasonCount) -> ReasonCount:
        return replace(
            reason,
            text=self.text(reason.text, reason.example),
            example=self.address(reason.example),
            hint=self.text(reason.hint, reason.example),
        )

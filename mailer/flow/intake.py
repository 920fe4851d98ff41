"""From a row to its messages: every row ends as drafts for the ledger, as left out, or as a problem."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from mailer.flow.preparation import Prepared
from mailer.interfaces.composer import Composed, Occasion
from mailer.interfaces.source import Row
from mailer.policy.addressing import Address, AddressError, key_of, parse_address
from mailer.policy.attachment_marks import encoded_size, mark
from mailer.policy.columns import find_email_column
from mailer.policy.header_values import UnsafeValueError
from mailer.policy.message_id import MessageIds
from mailer.policy.seen import Seen
from mailer.policy.token import make_token
from mailer.vocabulary.campaign import Campaign
from mailer.vocabulary.chunk import Draft
from mailer.vocabulary.errors import TemplateError
from mailer.vocabulary.outcome import Class, Outcome
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.recipient import LeftOut, LeftOutAs, State

MOST_RECIPIENTS = 100
"""Envelope recipients of one message: what every relay takes (RFC 5321 section 4.5.3.1.8)."""

_SUPPRESSED = Outcome(
    state=State.SUPPRESSED, failure=Class.LOCAL, reason="suppressed", text="on the do-not-send list", counted=False
)


class InvalidRowError(ValueError):
    """A row without a usable address, or with a value that cannot go into a header: it is left out, and says why."""

    def __init__(self, email: str, reason: str) -> None:
        super().__init__(reason)
        self.email = email


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that cannot be built although its address is good. Stops the run, unless bad rows are skipped."""

    row: int
    email: str
    error: TemplateError


@dataclass(slots=True)
class Built:
    """What became of some rows. A problem's row is among the drafts too, as `failed`, where its address is known.

    The drafts of one row are neighbours. `unescaped` names a column for each row that put `<` or `&` into an HTML
    part.
    """

    drafts: list[Draft] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unescaped: list[str] = field(default_factory=list)
    repeated: list[tuple[int, str]] = field(default_factory=list)
    """Row and address, where the address came before and the row is kept nevertheless."""
    twins: list[tuple[int, str]] = field(default_factory=list)
    """Row and address, where one came before that differs in the case of its local part alone."""


class Intake:
    """Turns the rows of one run into messages. Remembers the addresses it has seen, in eight bytes each.

    `after` is added to the numbers of rows wherever they are kept: a list that is appended goes on where others end.
    """

    def __init__(self, prepared: Prepared, campaign: Campaign, *, date: datetime, after: int = 0) -> None:
        self._prepared = prepared
        self._campaign = campaign
        self._message_ids: MessageIds | None = None
        self.date = date
        self.after = after
        self._seen = Seen()
        self._lowered = Seen()
        self._columns: tuple[str, ...] | None = None
        self._email_column: str | None = None
        self._ahead: dict[int, Composed] = {}

    def build(self, rows: Iterable[Row]) -> Built:
        """Address, render and build these rows, in their order. An address that came before is a duplicate.

        `--duplicates keep` and copies (Cc, Bcc) are never that.
        """
        built = Built()
        for row in rows:
            try:
                self._build(row, built)
            except InvalidRowError as error:
                built.left_out.append(_left_out(row, error.email[:254], LeftOutAs.INVALID, str(error)))
        if self.after:
            built.drafts = [replace(draft, row=draft.row + self.after) for draft in built.drafts]
            built.left_out = [replace(row, row=row.row + self.after) for row in built.left_out]
        return built

    def _build(self, row: Row, built: Built) -> None:
        address = self._address(row)
        ahead = self._ahead.pop(row.number, None) if self._ahead else None
        if address is not None and self._is_known(address.key):
            built.left_out.append(_left_out(row, address.addr_spec, LeftOutAs.DUPLICATE, "came before"))
            return
        try:
            composed = ahead or self._composed(row, address)
        except TemplateError as error:
            built.problems.append(Problem(row.number, address.addr_spec if address is not None else "", error))
            if address is None:
                raise InvalidRowError("", error.message) from error
            self._remember(row, address.key, built)
            built.drafts.append(_failed(row, address, error, by_row=self._campaign.keeps_duplicates))
            return
        (first, key), *copies = composed.recipients
        if address is None and self._is_known(key):
            built.left_out.append(_left_out(row, first, LeftOutAs.DUPLICATE, "came before"))
            return
        self._remember(row, key, built)
        if composed.unescaped is not None:
            built.unescaped.append(composed.unescaped)
        draft = Draft(
            row=row.number,
            email=first,
            content=composed.content,
            attached=composed.attached,
            by_row=self._campaign.keeps_duplicates,
        )
        built.drafts.append(draft)
        built.drafts += (replace(draft, email=email, by_row=True) for email, _ in copies)

    def hand_over(self, rows: Iterable[Row], composed: Iterable[Composed | None]) -> None:
        """The messages of rows that are built next, rendered elsewhere; None where there is none."""
        self._ahead |= {row.number: message for row, message in zip(rows, composed, strict=True) if message is not None}

    def compose_ahead(self, rows: Iterable[Row]) -> None:
        """Render rows before their turn. What is wrong with one is told when it is built."""
        for row in rows:
            try:
                self._ahead[row.number] = self.compose(row)
            except (InvalidRowError, TemplateError):
                continue

    def compose(self, row: Row) -> Composed:
        """The message of one row, whatever came before.

        Raises:
            InvalidRowError: the row is no recipient.
            TemplateError: it cannot be built.
        """
        return self._composed(row, self._address(row))

    def _address(self, row: Row) -> Address | None:
        """The address of a row, or None where only its message will tell."""
        if row.defect is not None:
            raise InvalidRowError("", row.defect)
        if self._prepared.composer.names_recipients:
            return None
        wanted = self._prepared.settings.email_column
        if self._columns != (columns := tuple(row.columns)):
            # By the row's own columns, whatever others have: rows are rendered in any order.
            self._columns, self._email_column = columns, find_email_column(columns, wanted)
        value = row.columns.get(self._email_column) if self._email_column is not None else None
        if not isinstance(value, str):
            lacks = f"no {wanted}" if value is None else f"{wanted} is {str(value)[:60]!r}, not a text"
            raise InvalidRowError("", lacks)
        try:
            return parse_address(value)
        except AddressError as error:
            raise InvalidRowError(value, str(error)) from error

    def _composed(self, row: Row, address: Address | None) -> Composed:
        prepared, campaign = self._prepared, self._campaign
        # A letter with a To of its own is told, too: nobody else may stand in a test.
        address = prepared.test_to or address

        def message_id_of(first: str) -> str:
            return self._message_id(f"{first} {row.number + self.after}" if campaign.keeps_duplicates else first)

        secret = prepared.token_secret
        occasion = Occasion(
            campaign=campaign.name,
            row=row.number,
            where=prepared.source.name,
            date=self.date,
            message_id=message_id_of,
            token=None if secret is None else lambda email: make_token(secret, campaign.id, key_of(email)),
        )
        try:
            known = None if address is None else (address.addr_spec, address.key)
            composed = prepared.composer.compose(row.columns, known, occasion)
        except (AddressError, UnsafeValueError) as error:
            raise InvalidRowError(address.addr_spec if address is not None else "", str(error)) from error
        if prepared.test_to is not None:
            composed = replace(composed, recipients=((prepared.test_to.addr_spec, prepared.test_to.key),))
        self._check_limits(composed)
        return composed

    def _message_id(self, identity: str) -> str:
        if self._message_ids is None:
            campaign = self._campaign
            self._message_ids = MessageIds(bytes.fromhex(campaign.salt), campaign.id, campaign.message_domain)
        return self._message_ids.of(identity)

    def _check_limits(self, composed: Composed) -> None:
        if len(composed.recipients) > MOST_RECIPIENTS:
            raise TemplateError(
                "E313",
                f"the message goes to {len(composed.recipients)} addresses, at most {MOST_RECIPIENTS} are possible",
                hint="give everybody a row of his own",
            )
        size = len(composed.content)
        for file in composed.attached:
            sign = mark(file.digest)
            size += composed.content.count(sign) * (encoded_size(file.size) - len(sign))
        most = self._prepared.delivery.max_message_size
        if size > most:
            raise TemplateError(
                "E308",
                f"the message has {size} bytes, max_message_size is {most}",
                hint="make it smaller, or raise delivery.max_message_size",
            )

    def _is_known(self, key: str) -> bool:
        return not self._campaign.keeps_duplicates and key in self._seen

    def _remember(self, row: Row, key: str, built: Built) -> None:
        if self._prepared.test_to is not None:
            return
        if self._campaign.keeps_duplicates and key in self._seen:
            built.repeated.append((row.number, key))
            return
        lower = key.lower()
        # Nearly every address is in lower case: only the others need a place of their own.
        if key != lower:
            if lower in self._seen or lower in self._lowered:
                built.twins.append((row.number, key))
            self._lowered.add(lower)
        elif self._lowered and key in self._lowered:
            built.twins.append((row.number, key))
        self._seen.add(key)


def withhold(drafts: Sequence[Draft], suppressed: Collection[str]) -> list[Draft]:
    """The same drafts, with those to these addresses suppressed."""
    if not suppressed:
        return list(drafts)
    return [
        replace(draft, content=b"", attached=(), outcome=_SUPPRESSED) if draft.email in suppressed else draft
        for draft in drafts
    ]


def leave_out_members(built: Built, members: Collection[str], campaign_id: str) -> None:
    """Take out the rows whose first recipient is in that campaign already, with the copies that belong to them."""
    rows = {draft.row: draft.email for draft in reversed(built.drafts)}
    gone = {row for row, email in rows.items() if email in members}
    if gone:
        built.left_out += (
            LeftOut(row=draft.row, email=draft.email, kind=LeftOutAs.DUPLICATE, reason=f"in {campaign_id}")
            for draft in built.drafts
            if draft.row in gone
        )
        built.drafts = [draft for draft in built.drafts if draft.row not in gone]


def _left_out(row: Row, email: str, kind: LeftOutAs, reason: str) -> LeftOut:
    return LeftOut(row=row.number, email=email, kind=kind, reason=reason)


def _failed(row: Row, address: Address, error: TemplateError, *, by_row: bool) -> Draft:
    reason = "too_big" if error.code == "E308" else "build"
    outcome = Outcome(
        state=State.FAILED,
        phase=Phase.BUILD,
        failure=Class.LOCAL,
        reason=reason,
        text=f"row {row.number}: {error.message}",
        counted=False,
    )
    return Draft(row=row.number, email=address.addr_spec, content=b"", outcome=outcome, by_row=by_row)

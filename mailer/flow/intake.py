"""From a row to a message: every row ends as a draft for the ledger, as left out, or as a problem."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from mailer.flow.preparation import Prepared, context_of
from mailer.interfaces.source import Row
from mailer.policy.addressing import Address, AddressError, parse_address
from mailer.policy.columns import find_email_column
from mailer.policy.header_values import UnsafeValueError
from mailer.policy.message_id import message_id
from mailer.policy.seen import Seen
from mailer.vocabulary.campaign import Campaign
from mailer.vocabulary.chunk import Draft
from mailer.vocabulary.errors import TemplateError
from mailer.vocabulary.outcome import Class, Outcome
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.recipient import LeftOut, LeftOutAs, State

_SUPPRESSED = Outcome(
    state=State.SUPPRESSED, failure=Class.LOCAL, reason="suppressed", text="on the do-not-send list", counted=False
)


@dataclass(frozen=True, slots=True)
class Addressed:
    """A row with a usable address."""

    row: Row
    address: Address


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that cannot be built although its address is good. Stops the run, unless bad rows are skipped."""

    row: int
    email: str
    error: TemplateError


class Intake:
    """Turns the rows of one run into messages. Remembers the addresses it has seen, in eight bytes each."""

    def __init__(self, prepared: Prepared, campaign: Campaign, *, date: datetime) -> None:
        self._prepared = prepared
        self._campaign = campaign
        self._salt = bytes.fromhex(campaign.salt)
        self._date = date
        self._seen = Seen()
        self._email_column: str | None = None

    def address(self, row: Row) -> Addressed | LeftOut:
        """Find and check the address of a row."""
        if row.defect is not None:
            return LeftOut(row=row.number, email="", kind=LeftOutAs.INVALID, reason=row.defect)
        wanted = self._prepared.settings.email_column
        if self._email_column not in row.columns:
            self._email_column = find_email_column(row.columns, wanted)
        value = row.columns.get(self._email_column) if self._email_column is not None else None
        if not isinstance(value, str):
            return LeftOut(row=row.number, email="", kind=LeftOutAs.INVALID, reason=f"no {wanted}")
        try:
            return Addressed(row, parse_address(value))
        except AddressError as error:
            return LeftOut(row=row.number, email=value[:254], kind=LeftOutAs.INVALID, reason=str(error))

    def build(self, rows: Iterable[Addressed], suppressed: frozenset[str]) -> "Built":
        """Render and build these rows, in their order. An address that came before in this run is a duplicate."""
        built = Built([], [], [])
        for addressed in rows:
            row, address = addressed.row, addressed.address
            if address.key in self._seen:
                built.left_out.append(
                    LeftOut(row=row.number, email=address.addr_spec, kind=LeftOutAs.DUPLICATE, reason="came before")
                )
                continue
            if address.addr_spec in suppressed:
                draft = Draft(row=row.number, email=address.addr_spec, content=b"", outcome=_SUPPRESSED)
            else:
                try:
                    draft = Draft(row=row.number, email=address.addr_spec, content=self._message(row, address))
                except UnsafeValueError as error:
                    built.left_out.append(
                        LeftOut(row=row.number, email=address.addr_spec, kind=LeftOutAs.INVALID, reason=str(error))
                    )
                    continue
                except TemplateError as error:
                    built.problems.append(Problem(row.number, address.addr_spec, error))
                    draft = _failed(row, address, error)
            self._seen.add(address.key)
            built.drafts.append(draft)
        return built

    def _message(self, row: Row, address: Address) -> bytes:
        prepared, campaign = self._prepared, self._campaign
        context = context_of(row.columns, campaign=campaign.name, row=row.number)
        rendered = prepared.template.render(context, row=row.number, where=prepared.source.name)
        content = prepared.skeleton.build(
            to=rendered.to or address.addr_spec,
            subject=rendered.subject,
            text=rendered.text,
            html=rendered.html,
            message_id=message_id(self._salt, campaign.id, address.addr_spec, campaign.message_domain),
            date=self._date,
            reply_to=rendered.reply_to,
            headers=rendered.headers,
            unsubscribe_url=rendered.unsubscribe_url,
        )
        if len(content) > prepared.delivery.max_message_size:
            raise TemplateError(
                "E308",
                f"the message has {len(content)} bytes, max_message_size is {prepared.delivery.max_message_size}",
                hint="make it smaller, or raise delivery.max_message_size",
            )
        return content


@dataclass(frozen=True, slots=True)
class Built:
    """What became of some rows. A problem's row is among the drafts too, as `failed`."""

    drafts: list[Draft]
    left_out: list[LeftOut]
    problems: list[Problem]


def _failed(row: Row, address: Address, error: TemplateError) -> Draft:
    reason = "too_big" if error.code == "E308" else "build"
    outcome = Outcome(
        state=State.FAILED,
        phase=Phase.BUILD,
        failure=Class.LOCAL,
        reason=reason,
        text=f"row {row.number}: {error.message}",
        counted=False,
    )
    return Draft(row=row.number, email=address.addr_spec, content=b"", outcome=outcome)


def addresses_of(rows: Sequence[Addressed]) -> list[str]:
    """The addresses of these rows as they go over the wire."""
    return [addressed.address.addr_spec for addressed in rows]

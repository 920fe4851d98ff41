"""Messages that travel together, some hundreds at most, and a worker's claim on their recipients."""

from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec import Struct

from mailer.vocabulary.outcome import Outcome
from mailer.vocabulary.recipient import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """A file that messages carry. Its content is stored once, whatever it is called in them.

    `digest` is the SHA-256 of the content in hexadecimal, `size` its bytes; `read` reads it again, so that a list of
    these holds no contents.
    """

    digest: str
    size: int
    name: str
    read: Callable[[], bytes] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One accepted recipient on its way into the ledger: the message as it will go over the wire, or why there is none.

    `content` is empty where `outcome` says that it will never be sent (suppressed, or `failed` under `--skip-bad`);
    where a file belongs it has a mark, see `policy.attachment_marks`. With `by_row` the recipient is the same only if
    address and row are (copies, and rows kept although their address came before); else the address alone counts.
    """

    row: int
    email: str
    content: bytes
    outcome: Outcome | None = None
    attached: tuple[Attached, ...] = ()
    by_row: bool = False

    @property
    def state(self) -> State:
        """The state the recipient begins in."""
        return State.QUEUED if self.outcome is None else self.outcome.state


class Claimed(Struct, frozen=True, kw_only=True, gc=False):
    """A recipient this worker holds: its message as the ledger keeps it, and what happened to it before."""

    index: int
    row: int
    email: str
    key: str
    """Of the address, see `policy.addressing`."""
    frame: bytes
    """Equal for equal messages; `DeliveryLedger.mail_data` makes the message of it."""
    attempts: int
    crashes: int
    was_deferred: bool
    accepted_ms: int
    protocol_errors: int = 0
    last: Outcome | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A worker's right to some recipients of a chunk. The token (owner, epoch) is in every later compare-and-set."""

    campaign_id: str
    chunk: int
    token: str
    recipients: tuple[Claimed, ...] = ()
    suppressed: frozenset[str] = field(default_factory=frozenset)
    """Addresses of this claim that are on the suppression list."""
    redis_ms: int = 0
    """Redis time of the claim, Unix milliseconds."""


class Attempt(Struct, frozen=True, kw_only=True, gc=False):
    """The facts of one attempt that go into the record beside its outcome. Times are Unix milliseconds."""

    begun_ms: int
    ended_ms: int
    smtp_ms: int | None = None
    relay: str | None = None
    tls: str | None = None
    worker: str | None = None

"""The messages a capture server has taken: the last ones themselves, and exact counts of all."""

import re
import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailer.policy.decoded_words import decode_words
from mailer.vocabulary.reply import sanitise

_SUBJECT = re.compile(rb"^subject:(.*(?:\n[ \t].*)*)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """One message as it came over the wire, dot-stuffing removed.

    `id` stands in the reply (`250 2.0.0 Ok: queued as …`); `answered` is False when the connection was closed instead.
    Addresses and subject are safe to show.
    """

    id: str = field(default_factory=lambda: secrets.token_hex(5).upper())
    taken_ms: int = field(default_factory=lambda: time.time_ns() // 10**6)
    """Unix milliseconds."""
    reverse_path: str
    recipients: tuple[str, ...]
    content: bytes = field(repr=False)
    answered: bool = True

    @property
    def subject(self) -> str:
        """The decoded Subject, safe to show; empty without one."""
        header = re.split(rb"(?:\A|\r?\n)\r?\n", self.content, maxsplit=1)[0]
        if (match := _SUBJECT.search(header)) is None:
            return ""
        raw = match[1].replace(b"\r", b"").replace(b"\n", b"")
        return sanitise(decode_words(raw.decode("ascii")) if raw.isascii() else raw)


class Mailbox:
    """Keeps the last `keep` messages, at most `keep_bytes` bytes of them; counts every one.

    `accepted` is the number of messages answered with 250 after the dot, `dropped` of those taken without a reply;
    `accepted_for` and `dropped_for` count the same by recipient.
    """

    def __init__(self, *, keep: int = 1000, keep_bytes: int = 64 * 2**20) -> None:
        self.keep = keep
        self.keep_bytes = keep_bytes
        self.accepted = 0
        self.dropped = 0
        self.accepted_for: Counter[str] = Counter()
        self.dropped_for: Counter[str] = Counter()
        self._kept: OrderedDict[str, Captured] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Captured]:
        """The kept messages, newest first."""
        return reversed(self._kept.values())

    def get(self, message_id: str) -> Captured | None:
        """The message of this id; None when it was never there or is no longer kept."""
        return self._kept.get(message_id)

    def add(self, message: Captured) -> None:
        """Count a message and keep it, giving up the oldest ones where the room ends."""
        if message.answered:
            self.accepted += 1
            self.accepted_for.update(message.recipients)
        else:
            self.dropped += 1
            self.dropped_for.update(message.recipients)
        self._kept[message.id] = message
        self._bytes += len(message.content)
        while self._kept and (len(self._kept) > self.keep or self._bytes > self.keep_bytes):
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest.content)

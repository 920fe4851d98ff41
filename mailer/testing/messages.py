"""The messages that were taken, as a test looks at them."""

import email
import email.policy
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from typing import overload


class Outbox(Sequence[EmailMessage]):
    """What the server has taken, oldest first, parsed with the standard library; always as of now."""

    def __init__(self, contents: Callable[[], Sequence[bytes]]) -> None:
        self._contents = contents

    def __len__(self) -> int:
        return len(self._contents())

    @overload
    def __getitem__(self, index: int) -> EmailMessage: ...

    @overload
    def __getitem__(self, index: slice) -> list[EmailMessage]: ...

    def __getitem__(self, index: int | slice) -> EmailMessage | list[EmailMessage]:
        found = self._contents()[index]
        return _parsed(found) if isinstance(found, bytes) else [_parsed(content) for content in found]


def _parsed(content: bytes) -> EmailMessage:
    return email.message_from_bytes(content, policy=email.policy.default)

"""A composed message: what a template makes of one row, and what it is told besides the row."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from mailer.vocabulary.chunk import Attached

Attach = Callable[[str], Attached]
"""Finds the file that a rendered path names. Raises `TemplateError` E309 where it cannot be attached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """What a message needs to know besides its row. The functions take the address of the first recipient."""

    campaign: str
    row: int
    where: str
    date: datetime
    message_id: Callable[[str], str]
    token: Callable[[str], str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """A message and its envelope recipients (addr-spec and key of each): To first, then Cc and Bcc, none twice.

    `content` has marks where the files of `attached` belong. `unescaped` names a column whose value has `<` or `&` and
    went into an HTML part as it is.
    """

    recipients: tuple[tuple[str, str], ...]
    content: bytes
    attached: tuple[Attached, ...] = ()
    unescaped: str | None = None

"""The message: a MIME skeleton made once per campaign, and filled for each recipient (RFC 5322, RFC 2046)."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

from mailer.policy.header_values import UnsafeValueError, check_value, name_character
from mailer.policy.headers import check_header_names, encode_header, encode_parameter, encode_text, encode_verbatim
from mailer.policy.mailbox import Mailbox, encode_list_id, encode_mailbox, encode_mailboxes
from mailer.policy.parts import attachment_part, frame, inline_part
from mailer.policy.quoted_printable import BodyEncoder
from mailer.vocabulary.chunk import Attached

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MESSAGE_ID = re.compile("<[!-;=?A-~]+@[A-Za-z0-9.-]+>")
_HTTPS = re.compile("https://[!-;=?-~]+")
_ONE_CLICK = b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
_PART = b"Content-Type: text/%b; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
_TEXT, _HTML = _PART % b"plain", _PART % b"html"


class Skeleton:
    """What all messages of a campaign have in common, encoded once. Equal calls make equal bytes; threads may share it.

    A message with everything is `mixed(alternative(text, related(html, images)), files)`. The images belong to the one
    alternative that shows them: a reader that takes the text finds no stray pictures among its attachments, and the
    root that `cid:` starts from is the HTML itself, as RFC 2387 section 3.2 has it by default. A level that has nothing
    to hold is left out.

    Args:
        sender: The From mailbox, `Acme <news@acme.example>`.
        seed: Any string that is this campaign's alone. The boundary comes from it: equal seeds give equal bytes.
        has_text: Messages have a text part.
        has_html: Messages have an HTML part; of both, text comes first (RFC 2046 section 5.1.4).
        reply_to: The Reply-To mailbox where it is the same for all.
        list_id: `news.acme.example` or `Acme News <news.acme.example>` (RFC 2919).

    Raises:
        UnsafeValueError: A value cannot go into its header.
        ValueError: No part at all is asked for.
    """

    __slots__ = ("_alternative", "_bodies", "_head", "_mixed", "_parts", "_related", "_replies_to_one")

    def __init__(
        self,
        *,
        sender: str,
        seed: str,
        has_text: bool,
        has_html: bool,
        reply_to: str | None = None,
        list_id: str | None = None,
    ) -> None:
        if not (has_text or has_html):
            raise ValueError("a message needs a text part or an HTML part")
        self._parts = (has_text, has_html)
        self._bodies = BodyEncoder()
        self._replies_to_one = reply_to is not None
        self._head = encode_mailbox("From", sender)
        if reply_to is not None:
            self._head += encode_mailbox("Reply-To", reply_to)
        if list_id is not None:
            self._head += encode_list_id(list_id)
        self._alternative = frame("alternative", seed) if has_text and has_html else None
        self._related = frame("related", f"{seed}\0related", parameters=encode_parameter("type", "text/html"))
        self._mixed = frame("mixed", f"{seed}\0mixed")

    def build(
        self,
        *,
        to: str,
        subject: str,
        message_id: str,
        date: datetime,
        text: str | None = None,
        html: str | None = None,
        cc: Sequence[Mailbox] = (),
        reply_to: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        unsubscribe_url: str | None = None,
        images: Sequence[tuple[str, Attached]] = (),
        files: Sequence[Attached] = (),
    ) -> bytes:
        """The message for one row: CRLF line ends, no line over 998 octets, not dot-stuffed.

        Where the content of a file belongs it has a mark, see `attachment_marks`, and it has a NUL nowhere else.

        Args:
            to: The To mailbox, exactly one; `parse_mailbox` tells the address in it.
            subject: Text of one line.
            message_id: As `message_id()` makes it, angle brackets included.
            date: Aware; it is written in UTC.
            text: The text part, given exactly where the skeleton has one.
            html: The HTML part, likewise.
            cc: Who gets a copy and is seen to.
            reply_to: The Reply-To mailbox where it differs from row to row.
            headers: Further headers, name and value.
            unsubscribe_url: An https URL that unsubscribes by one click (RFC 8058).
            images: What the HTML part shows: Content-ID, without brackets, and file.
            files: What the message brings along.

        Raises:
            UnsafeValueError: A value of this row cannot go into its field.
            TemplateError: E306, a header that a campaign may not add.
            ValueError: The parts are not those of the skeleton, or `date` is naive.
        """
        if (text is not None, html is not None) != self._parts:
            raise ValueError("the parts given are not those of the skeleton")
        content = [
            b"Date: ",
            format_date(date),
            b"\r\n",
            self._head,
            encode_mailbox("To", to),
            encode_mailboxes("Cc", cc) if cc else b"",
            encode_text("Subject", subject),
            _encode_message_id(message_id),
        ]
        if reply_to is not None:
            if self._replies_to_one:
                raise ValueError("the skeleton has a Reply-To for all")
            content.append(encode_mailbox("Reply-To", reply_to))
        one_click = () if unsubscribe_url is None else ("List-Unsubscribe",)
        check_header_names((*(name for name, _ in headers), *one_click))
        content += (encode_header(name, value) for name, value in headers)
        if unsubscribe_url is not None:
            content.append(encode_unsubscribe(unsubscribe_url))
        content.append(b"MIME-Version: 1.0\r\n")
        if files:
            content.append(self._mixed.begin)
        self._add_bodies(content, text, html, images)
        if files:
            for file in files:
                content += self._mixed.between, attachment_part(file)
            content.append(self._mixed.end)
        return b"".join(content)

    def _add_bodies(
        self, content: list[bytes], text: str | None, html: str | None, images: Sequence[tuple[str, Attached]]
    ) -> None:
        if self._alternative is not None:
            content.append(self._alternative.begin)
        if text is not None:
            content += _TEXT, self._encode("text part", text)
        if html is not None:
            if self._alternative is not None:
                content.append(self._alternative.between)
            if images:
                content.append(self._related.begin)
            content += _HTML, self._encode("HTML part", html)
            if images:
                for content_id, file in images:
                    content += self._related.between, inline_part(file, content_id)
                content.append(self._related.end)
        if self._alternative is not None:
            content.append(self._alternative.end)

    def _encode(self, field: str, text: str) -> bytes:
        try:
            return self._bodies.encode(text)
        except UnicodeEncodeError as error:
            raise UnsafeValueError(field, f"has {name_character(error.object[error.start])}") from None


def _encode_message_id(message_id: str) -> bytes:
    if len(message_id) > 900 or _MESSAGE_ID.fullmatch(message_id) is None:
        raise UnsafeValueError("Message-ID", "is not of the form <unique@domain>")
    return b"Message-ID: %b\r\n" % message_id.encode("ascii")


def encode_unsubscribe(url: str) -> bytes:
    """List-Unsubscribe and the one-click header behind it (RFC 8058 section 3.1). Raises `UnsafeValueError`."""
    check_value("List-Unsubscribe", url)
    if url.isascii() and _HTTPS.fullmatch(url) is None:
        raise UnsafeValueError("List-Unsubscribe", "must be one https:// URL, without spaces and angle brackets")
    return encode_verbatim("List-Unsubscribe", f"<{url}>") + _ONE_CLICK


@lru_cache(maxsize=16)
def format_date(date: datetime) -> bytes:
    """`Sat, 21 Nov 2026 07:21:28 +0000`: UTC, in any locale (RFC 5322 section 3.3). Raises ValueError if naive."""
    if date.tzinfo is None:
        raise ValueError("the date of a message needs a time zone")
    utc = date.astimezone(UTC)
    words = f"{_DAYS[utc.weekday()]}, {utc.day:02d} {_MONTHS[utc.month - 1]} {utc.year:04d} {utc:%H:%M:%S} +0000"
    return words.encode("ascii")

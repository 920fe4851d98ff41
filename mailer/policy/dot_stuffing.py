"""Dot-stuffing: a message as the DATA command carries it (RFC 5321 section 4.5.2).

To look for a line that begins with a dot takes a worker as long as TLS: it is done once, when a message is stored.
"""

from mailer.vocabulary.envelope import MailData

END = b".\r\n"
_LAST = b"\r\n" + END


def dot_stuff(content: bytes) -> MailData:
    """Double the dot of every line that begins with one, end the last line, and add the line that ends the data.

    `content` is a message with CRLF line ends only; the result is what follows the 354, up to and with `.CRLF`.
    """
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return MailData(stuffed + (END if not stuffed or stuffed.endswith(b"\r\n") else b"\r\n" + END))


def unstuff(data: MailData) -> bytes:
    """The content that a server reads from the data."""
    return (b"\r\n" + data).replace(b"\r\n.", b"\r\n")[2 : -len(b"\r\n")]


def is_complete(data: bytes) -> bool:
    """True when it ends as data has to end: a server would wait for ever for the rest."""
    return data.endswith(_LAST) or data == END


def size_of(data: MailData, limit: int | None = None) -> int:
    """Bytes of the message, without what dot-stuffing has added (RFC 1870 section 5).

    Doubled dots are taken off only where the message would be over the `limit` with them: below it a message of a few
    bytes less than was announced is welcome.
    """
    size = len(data) - len(END)
    if limit is None or size <= limit:
        return size
    return size - data.count(b"\r\n..") - data.startswith(b"..")

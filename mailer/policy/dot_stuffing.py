"""Dot-stuffing: a message as the DATA command carries it (RFC 5321 section 4.5.2)."""


def dot_stuff(content: bytes) -> bytes:
    """Double the dot of every line that begins with one, end the last line, and add the line that ends the data.

    `content` is a message with CRLF line ends only; the result is what follows the 354, up to and with `.CRLF`.
    """
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed + (b".\r\n" if not stuffed or stuffed.endswith(b"\r\n") else b"\r\n.\r\n")

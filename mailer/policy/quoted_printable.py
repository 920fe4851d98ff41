"""Quoted-printable bodies: any text in lines of at most 76 ASCII octets (RFC 2045 section 6.7)."""

from binascii import b2a_qp


def encode_body(text: str) -> bytes:
    """Encode a body: UTF-8, every line end CRLF, the last line ended. Decoded it is the text with CRLF line ends.

    Raises UnicodeEncodeError on a lone surrogate.
    """
    octets = text.encode()
    if b"\r" in octets:
        # A lone CR or LF on the wire is how a second message is smuggled in (CVE-2023-51764): each is a line end here.
        octets = octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not octets.endswith(b"\n"):
        octets += b"\n"
    # b2a_qp breaks long lines as the first line of its input ends, so CRLF must be in place before.
    return b2a_qp(octets.replace(b"\n", b"\r\n"))

"""Who signed a certificate, read from its bytes (RFC 5280 section 4.1): for a message, never for a decision."""

from collections.abc import Iterator

from mailer.vocabulary.reply import sanitise

LONGEST_NAME = 80
_NAMES = {b"\x55\x04\x03": "CN", b"\x55\x04\x0a": "O"}
"""Object identifiers 2.5.4.3 and 2.5.4.10, in the order of preference."""
_EXPLICIT_VERSION = 0xA0
_ENCODINGS = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be"}
"""Tags of the string types a name may have."""


def issuer_of(der: bytes) -> str | None:
    """`CN=Example CA`, or `O=…` where it has no common name; None where there is none, or no certificate to read."""
    try:
        found = dict(_attributes(_issuer(der)))
    except (IndexError, ValueError):
        return None
    for identifier, short in _NAMES.items():
        if name := found.get(identifier):
            return f"{short}={sanitise(name)[:LONGEST_NAME]}"
    return None


def _issuer(der: bytes) -> bytes:
    """The field `issuer` of Certificate.tbsCertificate: behind version, serial number and signature algorithm."""
    ((_, certificate),) = _elements(der)
    ((_, to_be_signed), *_) = _elements(certificate)
    fields = [field for field in _elements(to_be_signed) if field[0] != _EXPLICIT_VERSION]
    return fields[2][1]


def _attributes(name: bytes) -> Iterator[tuple[bytes, str]]:
    for _, relative in _elements(name):
        for _, attribute in _elements(relative):
            (_, identifier), (tag, value) = _elements(attribute)
            yield identifier, value.decode(_ENCODINGS.get(tag, "latin-1"), "replace")


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element (X.690 section 8.1). Raises IndexError or ValueError for what is none."""
    place = 0
    while place < len(der):
        tag, length, place = der[place], der[place + 1], place + 2
        if length & 0x80:
            octets = length & 0x7F
            length, place = int.from_bytes(der[place : place + octets], "big"), place + octets
        if place + length > len(der):
            raise ValueError("an element ends behind its end")
        yield tag, der[place : place + length]
        place += length

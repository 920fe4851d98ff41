"""The token of an unsubscribe link: campaign and address, unreadable and unforgeable without the secret (RFC 8058)."""

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

MAX_TOKEN = 1_000
"""Characters of a token; what is longer is not looked at."""

_TAG = 16
"""Octets of HMAC-SHA-256 that are kept: 128 bits."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]+")
# A version in the labels, so that another form of token can be told from this one.
_TAG_LABEL, _STREAM_LABEL = b"mailer token 1 tag\0", b"mailer token 1 stream\0"


def make_token(secret: bytes, campaign: str, address: str) -> str:
    """The token of one recipient in one campaign: URL-safe, and equal for equal arguments.

    What it holds is sealed: the tag over it is also what the key stream begins with (a synthetic IV, as in RFC 5297),
    so the address is in no log of a proxy. Raises ValueError for an empty secret, or a NUL in the campaign.
    """
    if not secret:
        raise ValueError("a token needs a secret")
    if "\0" in campaign:
        raise ValueError("a campaign has no NUL in its name")
    content = f"{campaign}\0{address}".encode()
    tag = _tag(secret, content)
    return urlsafe_b64encode(tag + _sealed(secret, tag, content)).decode("ascii").rstrip("=")


def read_token(secret: bytes, token: str) -> tuple[str, str] | None:
    """Campaign and address of a token that `make_token` made with this secret; None for any other text."""
    if not secret or len(token) > MAX_TOKEN or _TOKEN.fullmatch(token) is None or len(token) % 4 == 1:
        return None
    octets = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    tag, content = octets[:_TAG], _sealed(secret, octets[:_TAG], octets[_TAG:])
    if not hmac.compare_digest(tag, _tag(secret, content)):
        return None
    # Unused bits of the last character would be a second token with the same meaning.
    if urlsafe_b64encode(octets).decode("ascii").rstrip("=") != token:
        return None
    campaign, _, address = content.decode().partition("\0")
    return campaign, address


def _tag(secret: bytes, content: bytes) -> bytes:
    return hmac.digest(secret, _TAG_LABEL + content, "sha256")[:_TAG]


def _sealed(secret: bytes, tag: bytes, content: bytes) -> bytes:
    """The content under a key stream that begins with `tag`; applied twice, it is the content again."""
    blocks = range(-(-len(content) // 32))
    stream = b"".join(hmac.digest(secret, _STREAM_LABEL + tag + block.to_bytes(4, "big"), "sha256") for block in blocks)
    return bytes(octet ^ key for octet, key in zip(content, stream, strict=False))

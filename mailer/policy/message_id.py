"""The Message-ID: derived from the recipient, so that every attempt says the same one and none need be stored."""

import hmac
import re
from base64 import b32encode

_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")


def message_id(salt: bytes, campaign_id: str, recipient_key: str, domain: str) -> str:
    """`<32 characters of base32@domain>`: 160 bits of HMAC-SHA256 under the campaign's salt (RFC 5322 section 3.6.4).

    Equal for equal arguments, and without the salt it tells nothing about the recipient. Raises ValueError when
    `domain` is not a domain in A-labels.
    """
    if _DOMAIN.fullmatch(domain) is None:
        raise ValueError(f"{domain!r} is not a domain")
    # NUL cannot be in a campaign id, so no two pairs read alike.
    digest = hmac.digest(salt, f"{campaign_id}\0{recipient_key}".encode(), "sha256")
    return f"<{b32encode(digest[:20]).decode().lower()}@{domain}>"

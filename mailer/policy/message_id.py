"""The Message-ID: derived from the recipient, so that every attempt says the same one and none need be stored."""

import hmac
import re
from itertools import product

_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
_PAIRS = ["".join(pair) for pair in product("abcdefghijklmnopqrstuvwxyz234567", repeat=2)]
"""Ten bits as two characters of base32 (RFC 4648 section 6), in lower case."""


class MessageIds:
    """The Message-IDs of one campaign: `<32 characters of base32@domain>` (RFC 5322 section 3.6.4).

    160 bits of HMAC-SHA256 under the campaign's salt: equal for equal recipients, and without the salt they tell
    nothing about them.

    Raises:
        ValueError: `domain` is not a domain in A-labels.
    """

    __slots__ = ("_begun", "_tail")

    def __init__(self, salt: bytes, campaign_id: str, domain: str) -> None:
        if _DOMAIN.fullmatch(domain) is None:
            raise ValueError(f"{domain!r} is not a domain")
        # NUL cannot be in a campaign id, so no two pairs read alike.
        self._begun = hmac.new(salt, f"{campaign_id}\0".encode(), "sha256")
        self._tail = f"@{domain}>"

    def of(self, recipient_key: str) -> str:
        """The Message-ID for one recipient."""
        whole = self._begun.copy()
        whole.update(recipient_key.encode())
        digest = whole.digest()
        words = "<"
        for start in (0, 5, 10, 15):
            bits = int.from_bytes(digest[start : start + 5], "big")
            words += _PAIRS[bits >> 30] + _PAIRS[bits >> 20 & 1023] + _PAIRS[bits >> 10 & 1023] + _PAIRS[bits & 1023]
        return words + self._tail


def message_id(salt: bytes, campaign_id: str, recipient_key: str, domain: str) -> str:
    """One of the `MessageIds`. Raises ValueError when `domain` is not a domain in A-labels."""
    return MessageIds(salt, campaign_id, domain).of(recipient_key)

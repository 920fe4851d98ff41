"""The Message-ID is an HMAC in base32, as any other program would compute it."""

import hmac
from base64 import b32encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.policy.message_id import MessageIds, message_id


@given(st.binary(min_size=1, max_size=80), st.lists(st.text(max_size=60).filter(str.isprintable), max_size=5))
def test_it_is_what_the_standard_library_makes(salt: bytes, recipients: list[str]) -> None:
    """One object makes many, and none depends on those before."""
    ids = MessageIds(salt, "news-1a2b", "acme.example")
    for recipient in [*recipients, *recipients]:
        digest = hmac.digest(salt, f"news-1a2b\0{recipient}".encode(), "sha256")
        expected = f"<{b32encode(digest[:20]).decode().lower()}@acme.example>"
        assert ids.of(recipient) == message_id(salt, "news-1a2b", recipient, "acme.example") == expected


def test_a_domain_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="is not a domain"):
        MessageIds(b"salt", "news-1a2b", "acme example")

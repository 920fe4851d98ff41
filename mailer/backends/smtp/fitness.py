"""What this relay cannot carry, found before anything is said to it."""

import re

from mailer.backends.smtp.capabilities import Capabilities
from mailer.policy.dot_stuffing import size_of
from mailer.vocabulary.envelope import Envelope, MailData
from mailer.vocabulary.transmission import Unsendable
from mailer.vocabulary.verdict import Reason

_FORBIDDEN = re.compile("[\x00-\x20<>\x7f\ud800-\udfff]")
"""What would end an address on the command line and begin something else (GHSA-v3q9-hj7j-63hq), or has no bytes."""


def find_unsendable(envelope: Envelope, data: MailData, capabilities: Capabilities) -> dict[str, Unsendable]:
    """The recipients that must not be tried, and why; all of them where sender or message are the trouble."""
    trouble = _of_content(data, capabilities)
    if trouble is None and envelope.reverse_path:  # the empty one is `<>`, for notifications
        trouble = _of_address(envelope.reverse_path, capabilities)
    if trouble is not None:
        return dict.fromkeys(envelope.recipients, trouble)
    found = {}
    for address in envelope.recipients:
        if (of_address := _of_address(address, capabilities)) is not None:
            found[address] = of_address
    return found


def _of_content(data: MailData, capabilities: Capabilities) -> Unsendable | None:
    limit = capabilities.size_limit
    if limit is not None and (size := size_of(data, limit)) > limit:
        return Unsendable(Reason.TOO_BIG, f"{size} bytes; the relay takes no more than {limit}")
    if not capabilities.eight_bit_mime and not data.isascii():
        return Unsendable(Reason.CONTENT, "8-bit content, and the relay does not offer 8BITMIME")
    return None


def _of_address(address: str, capabilities: Capabilities) -> Unsendable | None:
    if not address or _FORBIDDEN.search(address):
        return Unsendable(Reason.SYNTAX, f"{address!r} cannot stand in an SMTP command")
    if not (capabilities.smtputf8 or address.isascii()):
        return Unsendable(Reason.SMTPUTF8, f"{address} is not ASCII, and the relay does not offer SMTPUTF8")
    return None

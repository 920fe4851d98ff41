"""Addresses whose local part says how the capture server treats them, so that every outcome can be seen at will."""

import re
from dataclasses import dataclass

from mailer.vocabulary.quantity import parse_duration

LONGEST_DELAY = 1800.0
"""Seconds; a longer `slow+…@` waits this long."""

_LOCAL_PART = re.compile(r"([a-z]+)(?:\+([0-9a-z.]+))?(?:-.*)?", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How one address is treated; the default is to accept it at once. Replies are whole lines without CRLF."""

    to_recipient: str | None = None
    """The reply to RCPT."""
    only_once: bool = False
    """The reply to RCPT is given the first time only; afterwards the address is accepted."""
    to_message: str | None = None
    """The reply after the final dot."""
    delay: float = 0.0
    """Seconds before the reply after the final dot."""
    drops: bool = False
    """The message is taken and the connection closed without a reply."""


ORDINARY = Behaviour()


def behaviour_of(address: str) -> Behaviour:
    """How this address is treated, by its local part in any case; whatever follows a `-` makes no difference.

    `bounce+550@` (any 5xx), `full+552@`, `reject+554@` (after the dot), `defer+451@` (any 4xx), `greylist@`,
    `slow+5s@` (or `slow+200ms@`), `drop@`; every other address is ordinary. Never raises.
    """
    match = _LOCAL_PART.fullmatch(address.rpartition("@")[0].lower())
    if match is None:
        return ORDINARY
    match match[1], match[2]:
        case "bounce", code if _is_reply(code, "5"):
            return Behaviour(to_recipient=f"{code} 5.1.1 unknown user")
        case "full", "552":
            return Behaviour(to_recipient="552 5.2.2 mailbox full")
        case "reject", "554":
            return Behaviour(to_message="554 5.7.1 message rejected")
        case "defer", code if _is_reply(code, "4"):
            return Behaviour(to_recipient=f"{code} 4.3.0 try again later")
        case "greylist", None:
            return Behaviour(to_recipient="451 4.7.1 greylisted, try again later", only_once=True)
        case "slow", duration if delay := _seconds(duration):
            return Behaviour(delay=min(delay, LONGEST_DELAY))
        case "drop", None:
            return Behaviour(drops=True)
    return ORDINARY


def _is_reply(code: str | None, first_digit: str) -> bool:
    # RFC 5321 section 4.2: the second digit is 0 to 5.
    return code is not None and re.fullmatch(first_digit + "[0-5][0-9]", code) is not None


def _seconds(duration: str | None) -> float:
    try:
        return parse_duration(duration)
    except ValueError:
        return 0.0

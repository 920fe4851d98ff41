"""What servers' texts have in common, what is theirs alone, and what to do about a reason."""

import re

from mailer.policy.reply_table.words import DOMAIN_FAILS
from mailer.vocabulary.recipient import State

MAX_QUEUE_ID = 64
"""Characters of a server's queue id that are kept."""

_CUT = "…"
# Every word is looked at from its beginning only: a long hostile text must not cost more than its length.
_VARIABLE = re.compile(
    r"""
      \b[a-z][a-z0-9+.-]{1,20}://\S+        # URLs
    | \bwww\.\S+
    | <[^<>]*>                              # addresses, paths and Message-IDs in brackets
    | (?<![^\s<>"'(),;:@])[^\s<>"'(),;:@]+@[^\s<>"'(),;:@]+
    | \b(?:id|session|ref|reference|ticket|incident|transaction)\s?[=:\#]\s?\S+
    | (?<=\bqueued\ as\ )\S+
    | (?<![\w.:/+=-])(?=[\w.:/+=-]*\d)(?=[\w.:/+=-]*[a-z])[\w.:/+=-]{6,}   # ids, host names with numbers
    | \b\d[\w.:/+=-]*                       # numbers, times, IP addresses
    | …(?:\s*…)+
    """,
    re.IGNORECASE | re.VERBOSE,
)

_QUEUE_IDS = tuple(
    re.compile(pattern)
    for pattern in (
        r"\bqueued as <?([^\s<>]+)",  # Postfix and its many relatives
        r"\bid=([^\s,;<>]+)",  # Exim
        r"(?<!\S)(\S+) - gsmtp\b",  # Gmail
        r"\bInternalId=([^\s,;\]]+)",  # Exchange
        r"(?<!\S)(\S+) Message accepted for delivery",  # Sendmail, OpenSMTPD
        r"\bqp (\d+)",  # qmail
        r"\b[Qq]ueued \(([^\s()]+)\)",  # Haraka
        r"(?:^|[\s<(\[])((?=[\w.@/+=-]*\d)[A-Za-z0-9][\w.@/+=-]{7,})",  # the first long word with a digit
    )
)

_DOMAIN_AUTHENTICATION = frozenset(
    (*(f"X.7.{number}" for number in (*range(20, 27), 29, 30, 31, 32)), "X.7.509", "X.7.515")
)
"""RFC 7372 and the registry; 30 to 32 at Gmail, 509 and 515 at Microsoft."""
_BY_ENHANCED_CODE = {
    "X.1.1": "remove the address from the list",
    "X.1.10": "the domain takes no mail (null MX): remove the address from the list",
    "X.4.6": "the relay found a mail loop: ask its postmaster",
    "X.7.28": "send more slowly",
    **dict.fromkeys(_DOMAIN_AUTHENTICATION, f"{DOMAIN_FAILS}: publish all three in DNS"),
}
_BY_REASON = {
    "policy": "the server dislikes the sender or its network: read its text, then check reputation and blocklists",
    "content": "the server dislikes the message: check it for spam marks, links and attachments",
    "too_big": "make the message smaller",
    "no_such_mailbox": "remove the address from the list",
    "mailbox_full": "try again in some days; remove the address if it stays full",
    "mailbox_disabled": "remove the address from the list",
    "bad_domain": "correct the domain of the address, or remove it from the list",
    "moved": "ask the recipient for the new address",
    "owner_changed": "remove the address from the list: it belongs to somebody else now",
    "syntax": "correct the address",
    "smtputf8": "use an address in ASCII, or a relay that offers SMTPUTF8",
    "no_route": "the relay cannot reach the recipient's domain: check the domain, or ask the relay's postmaster",
    "loop": "the relay found a mail loop: ask its postmaster",
    "greylisted": "nothing to do: it is tried again in some minutes",
    "unavailable": "nothing to do: it is tried again",
    "rate": "send more slowly, or nothing: it is tried again",
    "quota": "wait until the relay's quota is reset, or ask the provider",
    "sender": "use a sender address that this account may use",
    "relay_denied": "log in to the relay, or use the right one",
    "authentication": "check user name and MAILER_SMTP_PASSWORD",
    "tls": "check the scheme of the SMTP URL and the server's certificate",
    "configuration": "check smtp.url and smtp.local_hostname",
    "protocol": "a bug of ours or of the server: please report it with the server's reply",
    "expired": "mailer retry tries once more; the last reply says why it did not work",
    "interrupted": "nothing to do: it is tried again",
    "withheld": "nothing to do: it is tried again",
    "resent": "nothing to do: it is sent again, and may arrive twice",
    "attachment": "a file of the message is not in the queue any more: send it to them with a campaign of its own",
    "damaged": "the message in the queue cannot be read: send it to them with a campaign of its own",
    "poison": "three workers crashed at this message: look at it before you retry",
}
_IN_DOUBT = "look for the Message-ID in the server's log before you resend"
_WITHOUT_HINT = (State.SENT, State.CANCELLED, State.SUPPRESSED)


def normalise(text: str) -> str:
    """Cut out of a reply what is different every time, so that many refusals for one reason make one line.

    Queue and session ids, addresses, numbers and URLs become `…`; normalising twice changes nothing.
    """
    while (cut := " ".join(_VARIABLE.sub(_CUT, text).split())) != text:
        text = cut
    return text


def hint_for(code: int | None, enhanced_code: str | None, reason: str | None, state: State) -> str | None:
    """What to do about it, in one short sentence without a full stop; None where there is nothing to say."""
    if state is State.IN_DOUBT:
        return _IN_DOUBT
    if state in _WITHOUT_HINT:
        return None
    detail = f"X{enhanced_code[1:]}" if enhanced_code else ""
    if detail in _BY_ENHANCED_CODE:
        return _BY_ENHANCED_CODE[detail]
    if reason in _BY_REASON:
        return _BY_REASON[reason]
    return None if code is None else "read the server's text"


def blames_sending_domain(enhanced_code: str | None) -> bool:
    """True for refusals that are about SPF, DKIM or DMARC of the From domain, and about nobody they were said of."""
    return enhanced_code is not None and f"X{enhanced_code[1:]}" in _DOMAIN_AUTHENTICATION


def queue_id(text: str) -> str | None:
    """The id under which the server keeps an accepted message, as it says it in the reply to the dot; a part of `text`.

    At most 64 characters, without blanks. None where there is none.
    """
    for pattern in _QUEUE_IDS:
        if (match := pattern.search(text)) is not None:
            return match[1][:MAX_QUEUE_ID]
    return None

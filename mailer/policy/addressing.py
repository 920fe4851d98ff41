"""Addresses: what a person wrote, as one mailbox that can go over the wire, or the reason why not (RFC 5321, 6531)."""

import re
import unicodedata
from dataclasses import dataclass

MAX_ADDRESS = 254
"""Octets of an address (RFC 5321 section 4.5.3.1.3, without the angle brackets)."""
MAX_LOCAL_PART = 64
"""Octets before the @ (RFC 5321 section 4.5.3.1.1)."""
MAX_LABEL = 63
"""Octets between two dots of a domain (RFC 1035 section 2.3.4)."""
MAX_NAME = 200
"""Characters of a display name."""

# The addresses of nearly every list. A subset of what the careful way accepts as it stands: at most 64 characters, so
# that no limit of a part can be broken, and no `--`, so that every label means what it says (RFC 5891 section 4.2.3.1).
_PLAIN_LENGTH = 64
_ATOM = "[A-Za-z0-9_+-]+"
_LABEL = "[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*"
_PLAIN = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@((?:{_LABEL}\.)+(?!(?i:arpa|invalid|local|localhost|onion)\Z)[A-Za-z]+)")
_match_plain = _PLAIN.fullmatch

_BLANKS = " \t\u00a0\ufeff"
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_DOT_ATOM = re.compile(r"[^\s\"(),.:;<>@\[\\\]]+(?:\.[^\s\"(),.:;<>@\[\\\]]+)*")
_NUMBERS = re.compile(r"[0-9.]+")
# In this order: the first that is found is the likeliest thing to have happened.
_STRAY = (
    (",;", "more than one address"),
    ("<>", "an angle bracket"),
    ("()", "a parenthesis"),
    (":", "a colon"),
    ('"', "a quotation mark"),
    ("[]", "a square bracket"),
    ("\\", "a backslash"),
    (" ", "a space"),
)
# Old gateways route by these (RFC 5321 appendix F.2), and some servers start programs. Nobody's mailbox needs them.
_ROUTING = "%!|"
_QUOTED_ROUTING = "%!|@<>"

_NAME_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_MAILBOX = re.compile(r'(?:"((?:[^"\\]|\\.)*)" *|([^"<>()\[\]:;@\\,]*))<([^<>]*)>')

# RFC 2142, and what else is usually read by nobody or by many.
_ROLES = frozenset(
    {"abuse", "ftp", "hostmaster", "info", "marketing", "news", "noc", "postmaster", "sales", "security", "support"}
    | {"usenet", "uucp", "webmaster", "www"}
    | {"admin", "administrator", "mailer-daemon", "no-reply", "noreply", "root"}
)
# Scripts with letters that look like Latin ones (UTS 39).
_LATIN_LOOK_ALIKES = frozenset({"ARMENIAN", "CHEROKEE", "COPTIC", "CYRILLIC", "GREEK"})


class AddressError(ValueError):
    """This is not an address we send to; the message is a short reason that completes "not an e-mail address: "."""


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox. All four forms are free of controls, line ends and anything invisible."""

    addr_spec: str
    """What goes over the wire: the local part as it was written, the domain in lower-case A-labels (RFC 5890)."""
    domain: str
    """The domain of `addr_spec`."""
    key: str
    """Equal for two addresses of one mailbox: NFC, without needless quotes; the case of the local part counts."""
    shown: str
    """`addr_spec`, and the domain as people read it where that differs: `a@xn--bcher-kva.test (bücher.test)`."""


def parse_address(text: str) -> Address:
    """Read one bare address, `ann@example.org`; blanks and a byte order mark around it are dropped.

    Raises `AddressError` for anything else, and by policy for source routes, address literals (RFC 5321 section 4.1.3),
    domains without a dot, and characters that are invisible or only look like others. A local part outside ASCII is
    accepted; whether the relay can carry it (SMTPUTF8, RFC 6531) shows later.
    """
    if len(text) <= _PLAIN_LENGTH and (plain := _match_plain(text)) is not None:
        local, domain = plain.groups()
        lower = domain.lower()
        if lower != domain:
            text = f"{local}@{lower}"
        return Address(text, lower, text, text)
    return _parse_carefully(text)


def key_of(addr_spec: str) -> str:
    """The `key` of an address that was read before, from its `addr_spec`."""
    return addr_spec if _match_plain(addr_spec) is not None else parse_address(addr_spec).key


def parse_sender(text: str) -> tuple[str | None, Address]:
    """Read `Acme News <news@acme.example>`, with the name in quotes or not, or a bare address (RFC 5322 section 3.4).

    Returns the name, unquoted, or None, and the address. Raises `AddressError` unless it is exactly one.
    """
    if len(text) > MAX_NAME + MAX_ADDRESS + len('"" <>'):
        raise AddressError(f"longer than a name of {MAX_NAME} and an address of {MAX_ADDRESS} characters")
    if (control := _NAME_CONTROLS.search(text)) is not None:
        raise AddressError(f"a control character ({_code_point(control[0])})")
    _refuse_encoded_word(text)
    text = text.strip(_BLANKS)
    if "<" not in text and ">" not in text:
        return None, parse_address(text)
    mailbox = _MAILBOX.fullmatch(text)
    if mailbox is None:
        raise AddressError('not one name and one address: write "Acme, Inc." <news@acme.example>, the name in quotes')
    quoted, bare, address = mailbox.groups()
    name = re.sub(r"\\(.)", r"\1", quoted) if bare is None else bare.strip(_BLANKS)
    if len(name) > MAX_NAME:
        raise AddressError(f"a name longer than {MAX_NAME} characters")
    return name or None, parse_address(address)


def is_role(address: Address) -> bool:
    """True for a mailbox of a function rather than of a person: `postmaster`, `abuse`, `info` (RFC 2142)."""
    return address.addr_spec.rpartition("@")[0].partition("+")[0].casefold() in _ROLES


def mixes_scripts(address: Address) -> bool:
    """True when one label of the domain mixes Latin letters with letters that look like them (UTS 39): worth a warning.

    A label written in one foreign script alone may still look like a Latin one; that is not noticed.
    """
    if "xn--" not in address.domain:
        return False
    import idna

    for label in idna.decode(address.domain).split("."):
        scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in label if letter.isalpha()}
        if "LATIN" in scripts and scripts & _LATIN_LOOK_ALIKES:
            return True
    return False


def _parse_carefully(text: str) -> Address:
    """The way of every address that is not plain: our own limits and policy first, then the grammar of the library."""
    text = text.strip(_BLANKS)
    _check_characters(text)
    local, at, domain = text.rpartition("@")
    if not at:
        raise AddressError("no @")
    _check_local_part(local, domain)
    domain = domain.removesuffix(".")
    _check_domain(domain)

    from email_validator import EmailNotValidError, validate_email

    try:
        valid = validate_email(
            f"{local}@{domain}",
            allow_smtputf8=True,
            allow_quoted_local=True,
            check_deliverability=False,
            test_environment=True,  # the domains of RFC 6761 for tests: nothing that is sent there can reach anybody
        )
    except EmailNotValidError as error:
        raise AddressError(_reason(error)) from error
    if "." not in valid.ascii_domain:
        raise AddressError("a domain without a dot")
    addr_spec = f"{local}@{valid.ascii_domain}"
    if len(addr_spec.encode()) > MAX_ADDRESS:
        raise AddressError(f"longer than {MAX_ADDRESS} octets")
    return Address(
        addr_spec,
        valid.ascii_domain,
        f"{_canonical(local)}@{valid.ascii_domain}",
        addr_spec if valid.domain == valid.ascii_domain else f"{addr_spec} ({valid.domain})",
    )


def _check_characters(text: str) -> None:
    if not text:
        raise AddressError("empty")
    if len(text) > MAX_ADDRESS:
        raise AddressError(f"longer than {MAX_ADDRESS} characters")
    for character in text:
        # C: control, format (zero width, direction), surrogate, private, unassigned; Z: separators.
        if character != " " and unicodedata.category(character)[0] in "CZ":
            raise AddressError(f"an invisible or control character ({_code_point(character)})")
    if unicodedata.normalize("NFKC", text) != unicodedata.normalize("NFC", text):
        raise AddressError("a full-width or other compatibility character")
    _refuse_encoded_word(text)


def _refuse_encoded_word(text: str) -> None:
    # A mail program would read an encoded word (RFC 2047) as something else than the server that gets the envelope.
    if (start := text.find("=?")) >= 0 and "?=" in text[start + 2 :]:
        raise AddressError("an encoded word (=?...?=)")


def _check_local_part(local: str, domain: str) -> None:
    """Refuse what the local part must not hold, and what neither part may hold outside of quotes."""
    if not local:
        raise AddressError("nothing before the @")
    outside = local + domain
    if _QUOTED.fullmatch(local) is not None:
        _refuse_any(_QUOTED_ROUTING, local, "in the quotes")
        outside = domain
    if domain.startswith("[") and domain.endswith("]"):
        raise AddressError("an IP address instead of a domain")
    for characters, reason in _STRAY:
        if any(character in outside for character in characters):
            raise AddressError(reason)
    if "@" in outside:
        raise AddressError("two @ signs" if outside.count("@") == 1 else "several @ signs")
    _refuse_any(_ROUTING, local, "before the @")
    if len(local.encode()) > MAX_LOCAL_PART:
        raise AddressError(f"longer than {MAX_LOCAL_PART} octets before the @")


def _refuse_any(characters: str, local: str, where: str) -> None:
    for character in characters:
        if character in local:
            raise AddressError(f"a {character} {where}")


def _check_domain(domain: str) -> None:
    if not domain:
        raise AddressError("nothing after the @")
    if ".." in domain:
        raise AddressError("two dots in a row")
    if _NUMBERS.fullmatch(domain) is not None:
        raise AddressError("an IP address instead of a domain")
    if domain.isascii() and "." not in domain:
        raise AddressError("a domain without a dot")
    if any(len(label) > MAX_LABEL for label in domain.split(".")):
        raise AddressError(f"longer than {MAX_LABEL} octets between two dots of the domain")


def _canonical(local: str) -> str:
    """The local part in its shortest form: RFC 5321 section 4.1.2 has all its quoted forms mean one mailbox."""
    local = unicodedata.normalize("NFC", local)
    if not local.startswith('"'):
        return local
    content = re.sub(r"\\(.)", r"\1", local[1:-1])
    if _DOT_ATOM.fullmatch(content) is not None:
        return content
    return '"' + re.sub(r'(["\\])', r"\\\1", content) + '"'


def _reason(error: Exception) -> str:
    """The library's sentence as part of ours."""
    sentence = str(error).rstrip(".")[:120]
    return sentence[:1].lower() + sentence[1:]


def _code_point(character: str) -> str:
    return f"U+{ord(character):04X}"

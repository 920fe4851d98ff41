"""What a list may hold as an address, and what becomes of it. The numbers are those of the bad-input corpus."""

import re
import tracemalloc
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailer.policy import addressing
from mailer.policy.addressing import AddressError, is_role, mixes_scripts, parse_address, parse_sender
from mailer.policy.columns import find_email_column

REFUSED = {
    "1": ("", "empty"),
    "2": (" ", "empty"),
    "3": ("<>", "no @"),
    "4": ("a", "no @"),
    "5": ("a@", "nothing after the @"),
    "6": ("@b.test", "nothing before the @"),
    "7": ("a@b@c.test", "two @ signs"),
    "7, in a row": ("bob@@acme.example", "two @ signs"),
    "7, three": ("a@b@c@d.test", "several @ signs"),
    "8": ("a@b..test", "two dots in a row"),
    "9": (".a@b.test", "period"),
    "10": ("a.@b.test", "period"),
    "11": ("a@-b.test", "hyphen"),
    "12, two dots": ("a@b.test..", "period"),
    "13": ("a b@c.test", "a space"),
    "16": ('"<x>"@b.test', "a < in the quotes"),
    "17": ("a@b.test, evil@x.test", "more than one address"),
    "18": ("a@b.test;c@d.test", "more than one address"),
    "19": ("grp: a@x.test, b@x.test;", "more than one address"),
    "20": ("undisclosed-recipients:;", "no @"),
    "21": ("alice@example.org(<bob@evil.test>)", "an angle bracket"),
    "22": ("alice@example.org]<bob@evil.test>", "an angle bracket"),
    "23": ("alice@example.org,<bob@evil.test>", "more than one address"),
    "24": ("<a@b.test> SIZE=0", "an angle bracket"),
    "25": ("a@b.test\r\nRCPT TO:<x@y>", "U+000D"),
    "26": ('"\r\nRSET"@b.test', "U+000D"),
    "27": ("a@b.test\0", "U+0000"),
    "28": ("a@b.test\x7f", "U+007F"),
    "29, inside": ("a\t@b.test", "U+0009"),
    "30": ("a@b.test>", "an angle bracket"),
    "31": ("a@b.test (comment)", "a parenthesis"),
    "32": ("mailto:a@b.test", "a colon"),
    "33": ("a\u2028@b.test", "U+2028"),
    "34": ("a\x85@b.test", "U+0085"),
    "35": ("a\u200b@b.test", "U+200B"),
    "35, in the domain": ("a@b\u200b.test", "U+200B"),
    "37": ("ａ@b.test", "full-width"),
    "38": ("a@b，test", "full-width"),
    "42": ("a@xn--", "without a dot"),
    "42, a label": ("a@xn--.test", "hyphen"),
    "42, punycode": ("a@xn--zzzzzzzz.test", "IDNA"),
    "43": ("a" * 65 + "@b.test", "longer than 64 octets before the @"),
    "43, in UTF-8": ("é" * 33 + "@b.test", "longer than 64 octets before the @"),
    "44": ("a" * 60 + "@" + "b." * 95 + "test", "longer than 254 characters"),
    "44, as A-labels": ("a@" + "ü.ü" * 60 + ".test", "too long"),
    "45": ("a@" + "b" * 64 + ".test", "longer than 63 octets between two dots"),
    "46": ("a@[127.0.0.1]", "an IP address"),
    "46, IPv6": ("a@[IPv6:::1]", "an IP address"),
    "47": ("a@1.2.3.4", "an IP address"),
    "48": ("a@localhost", "without a dot"),
    "48, the test domain": ("a@test", "without a dot"),
    "48, IDNA": ("a@bücher", "period"),
    "50": ("a%b.test@relay.test", "a % before the @"),
    "51": ("b.test!a", "no @"),
    "51, complete": ("b.test!a@c.test", "a ! before the @"),
    "52": ("|/bin/sh@x", "a | before the @"),
    "52, quoted": ('"|/bin/sh"@x.test', "a | in the quotes"),
    "54": ("=?utf-8?q?a=40evil.test?=@b.test", "an encoded word"),
    "57": ('"' * 20_001, "longer than 254 characters"),
    "58": ("(" * 3_000, "longer than 254 characters"),
    "59": ("a" * 1_000_000, "longer than 254 characters"),
    "lone surrogate": ("a\udcff@b.test", "U+DCFF"),
    "right-to-left override": ("a\u202e@b.test", "U+202E"),
    "no-break space inside": ("a\u00a0b@c.test", "U+00A0"),
    "quoted @": ('"a@b"@c.test', "a @ in the quotes"),
    "open quote": ('"a@b.test', "a quotation mark"),
    "backslash": ("a\\b@c.test", "a backslash"),
    "combining mark first": ("\u0301a@b.test", "COMBINING ACUTE ACCENT"),
    "combining mark after the @": ("a@\u0301b.test", "COMBINING ACUTE ACCENT"),
    "underscore": ("a@x_y.test", "invalid characters"),
    "never deliverable": ("a@b.invalid", "special-use"),
    "never deliverable, in capitals": ("a@b.LOCAL", "special-use"),
}

ACCEPTED = {
    "12": ("a@b.test.", "a@b.test"),
    "14": ('"a b"@c.test', '"a b"@c.test'),
    "15": ('"a\\"b"@c.test', '"a\\"b"@c.test'),
    "29": ("a@b.test\t", "a@b.test"),
    "36": ("\ufeffa@b.test", "a@b.test"),
    "36, after a blank": (" \ufeffa@b.test\u00a0", "a@b.test"),
    "39": ("josé@b.test", "josé@b.test"),
    "40": ("a@bücher.test", "a@xn--bcher-kva.test"),
    "40, in capitals": ("a@BÜCHER.Test", "a@xn--bcher-kva.test"),
    "40, as A-label": ("a@XN--Bcher-KVA.test", "a@xn--bcher-kva.test"),
    "41": ("a@аpple.com", "a@xn--pple-43d.com"),
    "43, the longest": ("a" * 64 + "@b.test", "a" * 64 + "@b.test"),
    "45, the longest": ("a@" + "b" * 63 + ".test", "a@" + "b" * 63 + ".test"),
    "49": ("postmaster@b.test", "postmaster@b.test"),
    "49, in capitals": ("Postmaster@b.test", "Postmaster@b.test"),
    "53": ("-oQ/tmp@x.test", "-oQ/tmp@x.test"),
    "55": ("A@B.TEST", "A@b.test"),
    "56": ("a+tag@b.test", "a+tag@b.test"),
    "apostrophe": ("o'neil@b.test", "o'neil@b.test"),
    "ideographic full stop": ("a@b。test", "a@b.test"),
    "sharp s": ("a@faß.de", "a@xn--fa-hia.de"),
    "documentation": ("ann@mail.example.org", "ann@mail.example.org"),
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.values(), ids=REFUSED)
def test_an_address_that_is_none_is_refused_with_a_short_reason(text: str, reason: str) -> None:
    with pytest.raises(AddressError) as refusal:
        parse_address(text)
    assert reason in str(refusal.value)
    assert len(str(refusal.value)) <= 120


@pytest.mark.parametrize(("text", "wire"), ACCEPTED.values(), ids=ACCEPTED)
def test_an_address_goes_over_the_wire_as_written_with_its_domain_in_a_labels(text: str, wire: str) -> None:
    address = parse_address(text)
    assert address.addr_spec == wire
    assert address.domain == wire.rpartition("@")[2]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A@B.Test", "A@b.test"),
        ("a@b.test.", "a@b.test"),
        ("a@b.test", " a@b.test\ufeff"),
        ("jose\u0301@b.test", "josé@b.test"),
        ("a@bücher.test", "a@xn--bcher-kva.test"),
        ("a@bu\u0308cher.test", "a@BÜCHER.test"),
        ('"ann"@b.test', "ann@b.test"),
        ('"a\\ b"@c.test', '"a b"@c.test'),
    ],
)
def test_two_spellings_of_one_mailbox_have_one_key(one: str, other: str) -> None:
    assert parse_address(one).key == parse_address(other).key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A@b.test", "a@b.test"),
        ("Info@b.test", "info@b.test"),
        ("a+tag@b.test", "a@b.test"),
        ("a.b@c.test", "ab@c.test"),
        ("a@аpple.com", "a@apple.com"),
        ("josé@b.test", "jose@b.test"),
    ],
)
def test_two_mailboxes_have_two_keys(one: str, other: str) -> None:
    assert parse_address(one).key != parse_address(other).key


def test_what_is_shown_is_what_is_sent_and_beside_it_what_people_read() -> None:
    assert parse_address("Ann@Example.org").shown == "Ann@example.org"
    assert parse_address("a@bücher.test").shown == "a@xn--bcher-kva.test (bücher.test)"
    assert parse_address("a@xn--pple-43d.com").shown == "a@xn--pple-43d.com (аpple.com)"


def test_an_overlong_address_is_refused_without_being_looked_at() -> None:
    text = '"\\' * 5_000_000
    tracemalloc.start()
    try:
        with pytest.raises(AddressError):
            parse_address(text)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


# Texts around the border of the plain form: parts that fit it and parts that nearly do.
_LOCAL_PARTS = st.text("aZ09_+-.'%\"@ é", max_size=66) | st.text("aZ0+_.-", min_size=1, max_size=8)
_DOMAINS = st.lists(
    st.sampled_from(["a", "Ex-ample", "x--y", "xn--bcher-kva", "9", "b" * 63, "b" * 64, "-", "", "ü", "a_b"]),
    min_size=1,
    max_size=4,
)
_ENDINGS = st.sampled_from(
    ["test", "COM", "de", "c", "local", "LOCAL", "Invalid", "localhost", "arpa", "onion", "1", ""]
)
_NEARLY = st.builds(lambda local, labels, end: f"{local}@{'.'.join([*labels, end])}", _LOCAL_PARTS, _DOMAINS, _ENDINGS)


@given(_NEARLY | st.from_regex(addressing._PLAIN, fullmatch=True))
@example("a@localhost.localhost")
@example("a@b.INVALID")
@example("a@b.c")
@example("-@9.a")
@settings(deadline=None)
def test_the_fast_way_finds_what_the_careful_way_finds(text: str) -> None:
    if len(text) > addressing._PLAIN_LENGTH or addressing._PLAIN.fullmatch(text) is None:
        return
    assert parse_address(text) == addressing._parse_carefully(text)


@given(_NEARLY | st.text() | st.builds("{}@{}.test".format, st.text(max_size=20), st.text(max_size=20)))
@settings(deadline=None)
def test_nothing_that_is_accepted_can_leave_its_place_in_a_command_or_a_header(text: str) -> None:
    try:
        address = parse_address(text)
    except AddressError:
        return
    local, _, domain = address.addr_spec.rpartition("@")
    assert domain == address.domain
    assert re.fullmatch(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+", domain)
    assert re.search(r"[\x00-\x1f\x7f<>@%!|]", local) is None
    assert local.startswith('"') or re.search(r'[\s"(),:;\\\[\]]', local) is None
    assert not any(unicodedata.category(character)[0] in "CZ" for character in local if character != " ")
    assert len(local.encode()) <= 64
    assert len(address.addr_spec.encode()) <= 254
    assert parse_address(address.addr_spec) == address
    assert parse_address(address.key).key == address.key


SENDERS = {
    "Acme News <news@acme.example>": ("Acme News", "news@acme.example"),
    "news@acme.example": (None, "news@acme.example"),
    "<news@acme.example>": (None, "news@acme.example"),
    '"" <news@acme.example>': (None, "news@acme.example"),
    '"Acme, Inc." <news@acme.example>': ("Acme, Inc.", "news@acme.example"),
    ' "Acme"<news@acme.example> ': ("Acme", "news@acme.example"),
    '"Ann \\"A\\" <x>" <a@b.test>': ('Ann "A" <x>', "a@b.test"),
    "J. Smith <j@b.test>": ("J. Smith", "j@b.test"),
    "Bücherei Ü <b@bücher.test>": ("Bücherei Ü", "b@xn--bcher-kva.test"),
    'X <"a b"@c.test>': ("X", '"a b"@c.test'),
    '"a b"@c.test': (None, '"a b"@c.test'),
    '"q" <z@evil.test>': ("q", "z@evil.test"),
}


@pytest.mark.parametrize(("text", "expected"), SENDERS.items())
def test_a_sender_is_a_name_and_one_address(text: str, expected: tuple[str | None, str]) -> None:
    name, address = parse_sender(text)
    assert (name, address.addr_spec) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Acme",
        "Acme, Inc. <news@acme.example>",
        "a@x.test, b@y.test",
        "A <a@x.test>, B <b@y.test>",
        "A <a@x.test> b",
        "A <a@x.test",
        "<<a@b.test>>",
        '"a" "b" <a@x.test>',
        '"open <a@x.test>',
        "a@x.test <b@y.test>",
        "A <>",
        "A\r\nBcc: x <a@x.test>",
        "A\0 <a@x.test>",
        "A\u202e <a@x.test>",
        "A\udcff <a@x.test>",
        "=?utf-8?q?x=0D=0ABcc=3A_evil=40x?= <a@x.test>",
        "x" * 201 + " <a@x.test>",
        "x" * 100_000,
        '"' * 20_001,
        "(" * 3_000,
    ],
    ids=lambda text: ascii(text[:30]),
)
def test_a_sender_that_is_not_one_name_and_one_address_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        parse_sender(text)


@given(st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=100))
@settings(deadline=None)
def test_any_name_can_be_written_in_quotes(name: str) -> None:
    if "=?" in name:
        return
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    assert parse_sender(f'"{quoted}" <a@b.test>')[0] == name


def test_a_role_is_told_from_a_person() -> None:
    assert all(is_role(parse_address(f"{name}@b.test")) for name in ("postmaster", "Abuse", "info+x", "no-reply"))
    assert not any(is_role(parse_address(f"{name}@b.test")) for name in ("ann", "information", "infos"))


def test_latin_letters_among_their_look_alikes_are_noticed() -> None:
    assert mixes_scripts(parse_address("a@аpple.com"))
    assert mixes_scripts(parse_address("a@shop.gοοgle.com"))
    assert not any(mixes_scripts(parse_address(f"a@{domain}")) for domain in ("apple.com", "bücher.test", "почта.com"))


COLUMNS: dict[str, tuple[tuple[str, ...], str, str | None]] = {
    "as it is": (("name", "email"), "email", "email"),
    "capitals": (("Name", "EMAIL"), "email", "EMAIL"),
    "hyphen": (("E-Mail", "Name"), "email", "E-Mail"),
    "address": (("Email Address",), "email", "Email Address"),
    "underscore": (("email_address",), "email", "email_address"),
    "mail": (("Mail",), "email", "Mail"),
    "the most certain": (("mail", "Email"), "email", "Email"),
    "the exact one": (("Email", "email"), "email", "email"),
    "another name": (("email", "Adresse"), "adresse", "Adresse"),
    "another name only": (("email", "mail"), "adresse", None),
    "none": (("name", "emails"), "email", None),
    "no column at all": ((), "email", None),
}


@pytest.mark.parametrize(("columns", "wanted", "found"), COLUMNS.values(), ids=COLUMNS)
def test_the_email_column_is_found_by_its_usual_names(columns: tuple[str, ...], wanted: str, found: str | None) -> None:
    assert find_email_column(columns, wanted) == found

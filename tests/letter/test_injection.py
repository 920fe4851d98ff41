"""Hostile values of rows: none of them adds a header, a part or a recipient to a letter."""

import json
from email.message import Message
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.policy.header_values import UnsafeValueError
from mailer.policy.letter.header_section import Field
from mailer.policy.letter.recipients import read_mailboxes
from mailer.policy.letter.values import enclose, reveal
from mailer.vocabulary.errors import TemplateError
from tests.letter.letters import HEAD, Received, load, receive
from tests.thorough import pairs

HEAD_OF_TWO = "To: a@example.com\nFrom: b@example.com\n"
NAMES = [
    "Date",
    "From",
    "To",
    "Subject",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
]
LINE_ENDS = [
    "x\r\nBcc: evil@example.net",
    "x\nBcc: evil@example.net",
    "x\rBcc: evil@example.net",
    "x\x0bBcc: evil@example.net",
    "x\x0cBcc: evil@example.net",
    "x\x85Bcc: evil@example.net",
    "x\u2028Bcc: evil@example.net",
    "x\u2029Bcc: evil@example.net",
    "\n\nthe body",
    "\r\n\r\nthe body",
    "=?utf-8?q?x=0D=0ABcc=3A_evil=40example.net?=",
    "a\0b",
    "\udcff",
]
HEADERS = [
    "Subject: {{ value }}",
    "Subject: {{ value | upper }}",
    "Subject: {% if value %}{{ value }}{% endif %}",
    "Subject: {% filter upper %}{{ value }}{% endfilter %}",
    "Subject: {% set a %}{{ value }}{% endset %}{{ a }}",
    "Subject: {% macro m(a) %}<{{ a }}>{% endmacro %}{{ m(value) }}",
    "Subject: {% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}{{ value }}{% endcall %}",
    "Subject: {% for letter in [value] %}{{ letter }}{% endfor %}",
    "Subject: x\nReply-To: {{ value }} <a@example.com>",
    "Subject: x\nX-Custom: {{ value }}",
    "Subject: x\nX-Custom: a\n {{ value }}",
    "Subject: x\nX-{{ value }}: a",
    "Subject: x\nList-Unsubscribe: <https://acme.example/{{ value }}>",
    "Subject: x\nContent-Type: text/{{ value }}",
    "Subject: x\nCc: {{ value }} <a@example.com>",
    "Subject: x\nAttachment: {{ value }}",
]


def names_of(received: Received) -> list[str]:
    return list(received.message.keys())


@pytest.mark.parametrize(("header", "value"), pairs(HEADERS, LINE_ENDS), ids=ascii)
def test_a_line_end_in_a_header_value_leaves_the_row_out(tmp_path: Path, header: str, value: str) -> None:
    """The row is refused, whichever header it meets and however it gets there."""
    form = load(tmp_path, f"To: ann@example.com\nFrom: news@acme.example\n{header}\n\nHi\n")
    with pytest.raises((UnsafeValueError, TemplateError)):
        receive(form, {"value": value})


@pytest.mark.parametrize("value", [*LINE_ENDS[:10], "{{ 7 * 7 }}", "\n.\r\nMAIL FROM:<e@example.net>", "=?utf-8?q?x?="])
def test_in_a_body_the_same_values_are_literal(tmp_path: Path, value: str) -> None:
    """Decoded, the body has them as they are; the header has exactly the lines that it should have."""
    received = receive(
        load(tmp_path, f"{HEAD}\n{{{{ value }}}}\n"), {"email": "a@example.com", "name": "A", "value": value}
    )
    assert names_of(received) == NAMES
    assert received.body.rstrip("\n") == value.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
    assert received.recipients == ["a@example.com"]


def test_a_header_line_cannot_come_from_a_value(tmp_path: Path) -> None:
    """A value on a line of its own is no header, even when it looks like one."""
    form = load(tmp_path, f"{HEAD}{{{{ value }}}}\n\nHi\n")
    with pytest.raises(TemplateError, match="is no header line") as caught:
        receive(form, {"email": "a@example.com", "name": "A", "value": "Bcc: evil@example.net"})
    assert caught.value.code == "E311"
    assert caught.value.why == "Its name must stand in the template."


def test_an_empty_value_does_not_end_the_header_section(tmp_path: Path) -> None:
    """What follows it would be shown in the body, Bcc included."""
    form = load(tmp_path, "To: {{ email }}\n{{ value }}\nFrom: a@example.com\nBcc: b@example.com\n\nHi\n")
    with pytest.raises(TemplateError, match="is no header line"):
        receive(form, {"email": "a@example.com", "value": ""})


TWO_IN_ONE = [
    "a@example.com, evil@example.net",
    "a@example.com;evil@example.net",
    "<a@example.com>, <evil@example.net>",
    "x> , <evil@example.net",
    "a@example.com\nBcc: evil@example.net",
    "a@example.com (comment)",
    "grp: a@example.com, evil@example.net;",
    "alice@example.org(<bob@evil.test>)",
    "alice@example.org,<bob@evil.test>",
    "a@example.com\ufdd2, evil@example.net\ufdd0",
    "",
]


@pytest.mark.parametrize(
    ("to", "value"), pairs(["{{ email }}", "Ann <{{ email }}>", '"Ann" <{{ email }}>'], TWO_IN_ONE)
)
def test_a_value_in_to_is_one_address_or_the_row_is_left_out(tmp_path: Path, to: str, value: str) -> None:
    """No value brings a second recipient into To."""
    form = load(tmp_path, f"To: {to}\nFrom: news@acme.example\nSubject: x\n\nHi\n")
    with pytest.raises(UnsafeValueError):
        receive(form, {"email": value})


@pytest.mark.parametrize(
    "name",
    ["Roe, Ann", '"q" <z@example.net>', "x <evil@example.net>,", 'a" <b@example.net>, "', "back\\slash", "a;b", ""],
)
def test_a_display_name_is_nothing_but_a_name(tmp_path: Path, name: str) -> None:
    """Commas, quotes and angle brackets in it are quoted; the header holds exactly one address, ours."""
    form = load(tmp_path, "To: {{ name }} <{{ email }}>\nFrom: news@acme.example\nSubject: x\n\nHi\n")
    received = receive(form, {"email": "ann@example.com", "name": name})
    assert received.recipients == ["ann@example.com"]
    assert received.addresses("To") == [(name, "ann@example.com")]


@pytest.mark.parametrize(
    "value", ["x\n--b\nContent-Type: text/html\n\n<b>evil</b>\n", "x\r--b\rX: y\r\r", "--b--", "\n--b--\n"]
)
def test_a_value_cannot_begin_or_end_a_part(tmp_path: Path, value: str) -> None:
    """A boundary in a value stays in the part that the value stands in."""
    letter = (
        f'{HEAD}Content-Type: multipart/alternative; boundary="b"\n\n'
        "--b\nContent-Type: text/plain\n\n{{ value }}\n--b\nContent-Type: text/html\n\n<p>{{ value }}</p>\n--b--\n"
    )
    received = receive(load(tmp_path, letter), {"email": "a@example.com", "name": "A", "value": value})
    parts = received.message.get_payload()
    assert isinstance(parts, list)
    assert [part.get_content_type() for part in parts if isinstance(part, Message)] == ["text/plain", "text/html"]
    assert "--b" in str(parts[0])


@pytest.mark.parametrize(
    "header", ["Content-Type: text/{{ value }}", "{{ value }}: text/html", "Content-Type: {{ value }}"]
)
def test_a_value_in_the_header_of_a_part_adds_none(tmp_path: Path, header: str) -> None:
    """Its line ends stay values there, too."""
    letter = f'{HEAD}Content-Type: multipart/mixed; boundary="b"\n\n--b\n{header}\n\nHi\n--b--\n'
    row = {"email": "a@example.com", "name": "A", "value": "plain\nContent-Disposition: attachment"}
    try:
        received = receive(load(tmp_path, letter), row)
    except (UnsafeValueError, TemplateError):
        return
    parts = received.message.get_payload()
    assert isinstance(parts, list)
    (part,) = parts
    assert isinstance(part, Message)
    assert part.get_content_disposition() is None


def test_whatever_a_value_is_the_header_is_the_templates(tmp_path: Path) -> None:
    """For any value: the row is refused, or the message has just these headers, recipients and this subject."""
    form = load(tmp_path, "To: ann@example.com\nFrom: news@acme.example\nSubject: a{{ value }}z\n\n{{ value }}|\n")

    @settings(deadline=None)
    @given(st.text(st.characters(codec="utf-8"), max_size=60))
    def check(value: str) -> None:
        try:
            received = receive(form, {"value": value})
        except UnsafeValueError:
            return
        assert names_of(received) == NAMES
        assert received.recipients == ["ann@example.com"]
        assert received.text("Subject") == f"a{value}z".translate(dict.fromkeys(range(0xFDD0, 0xFDD5)))
        lines = received.content.split(b"\r\n")
        assert all(len(line) <= 998 and line.isascii() for line in lines)
        assert not set(b"\0\r\n") & set(b"".join(lines))

    check()


@given(st.text(st.characters(exclude_characters="\ufdd0\ufdd1\ufdd2\ufdd3\ufdd4")))
def test_what_is_enclosed_is_revealed_as_it_was(value: str) -> None:
    """Enclosing loses nothing, and leaves no line end or comma that could separate anything."""
    enclosed = enclose(value, "column")
    assert reveal(enclosed) == value
    assert reveal(enclose(enclosed)) == value
    assert not {"\r", "\n"} & set(enclosed)


@given(
    st.text(st.sampled_from('"\\<>,;:() ab@.')),
    st.sampled_from(["{}", "{} <ann@example.com>", '"{}" <ann@example.com>']),
)
def test_a_value_in_to_makes_one_mailbox_at_most(value: str, form: str) -> None:
    """Whatever separates mailboxes elsewhere separates none in a value, and a name comes back as it was."""
    field = Field("To", form.format(enclose(value)))
    try:
        mailboxes = read_mailboxes(field)
    except UnsafeValueError:
        return
    assert len(mailboxes) <= 1
    if form != "{}":
        assert mailboxes[0].address.addr_spec == "ann@example.com"


def test_values_of_every_shape_are_enclosed(tmp_path: Path) -> None:
    """Loops, includes, inherited blocks and recursion write nothing that is taken for the template's own."""
    (tmp_path / "head.txt").write_text("Subject: {{ value }}")
    (tmp_path / "base.txt").write_text(
        "To: a@example.com\nFrom: b@example.com\nSubject: x\nX-Base: {% block x %}{{ value }}{% endblock %}\n"
    )
    letters = [
        f"{HEAD_OF_TWO}{{% include 'head.txt' %}}\n\nHi",
        f"{HEAD_OF_TWO}Subject: {{% for v in tree recursive %}}{{{{ v }}}}{{{{ loop([]) }}}}{{% endfor %}}\n\nHi",
        "{% extends 'base.txt' %}{% block x %}{{ super() }}{% endblock %}",
        f"{HEAD_OF_TWO}Subject: {{% with a = value %}}{{{{ a ~ 1 }}}}{{% endwith %}}\n\nHi",
        f"{HEAD_OF_TWO}Subject: {{% autoescape true %}}{{{{ value }}}}{{% endautoescape %}}\n\nHi",
        f"{HEAD_OF_TWO}Subject: {{{{ 'Bcc: evil@example.net' | wordwrap(5) }}}}\n\nHi",
    ]
    for letter in letters:
        row = {"value": "x\nBcc: evil@example.net", "tree": ["x\nBcc: evil@example.net"]}
        with pytest.raises(UnsafeValueError, match="line feed"):
            receive(load(tmp_path, letter), row)


def test_the_message_never_holds_a_nul_but_marks(tmp_path: Path) -> None:
    """A NUL of a value is encoded, so that no row can ask for a file."""
    value = "\0" + "a" * 64
    received = receive(
        load(tmp_path, f"{HEAD}\n{{{{ value }}}}\n"), {"email": "a@example.com", "name": "A", "value": value}
    )
    assert b"\0" not in received.composed.content
    assert received.body.rstrip("\n") == value


def test_json_values_are_written_as_data(tmp_path: Path) -> None:
    """Lists and numbers from JSON Lines are written as text, enclosed like any other value."""
    received = receive(
        load(tmp_path, f"{HEAD}\n{{{{ items }}}} {{{{ n + 1 }}}} {{{{ none }}}}\n"),
        json.loads('{"email": "a@example.com", "name": "A", "items": ["x", {"k": 1}], "n": 41, "none": null}'),
    )
    assert received.body == "['x', {'k': 1}] 42 None\n"


def test_a_lone_surrogate_in_a_body_leaves_the_row_out(tmp_path: Path) -> None:
    """JSON can hold one, and no message can (RFC 3629 section 3)."""
    for kind in ("text/plain", "text/html", "text/markdown", 'multipart/mixed; boundary="b"'):
        form = load(tmp_path, f"{HEAD}Content-Type: {kind}\n\n--b\n\nHi {{{{ value }}}} ü\n")
        with pytest.raises(UnsafeValueError, match="lone surrogate"):
            receive(form, {"email": "a@example.com", "name": "A", "value": "\udcff"})

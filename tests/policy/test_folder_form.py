"""The folder form: whole messages with their recipients. Numbers are those of the bad-input corpus."""

from email import message_from_bytes
from email.header import decode_header, make_header
from email.utils import getaddresses
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mailer.policy.forms import folder
from mailer.policy.header_values import UnsafeValueError
from mailer.policy.mailbox import encode_mailboxes, parse_mailboxes
from mailer.policy.rendering import RowRenderError
from mailer.vocabulary.errors import TemplateError
from tests.policy.composing import (
    ANN,
    Desk,
    Shelf,
    content_of,
    html_of,
    occasion,
    on_the_wire,
    part_of,
    read,
    structure,
    text_of,
)
from tests.thorough import pairs

if TYPE_CHECKING:
    from mailer.interfaces.composer import Composer

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))

# Corpus 60-68.
INJECTIONS = [
    "x\r\nBcc: evil@x.test",
    "x\nBcc: evil@x.test",
    "x\rBcc: evil@x.test",
    "x\x0bBcc: evil@x.test",
    "x\x0cBcc: evil@x.test",
    "x\x85Bcc: evil@x.test",
    "x\u2028Bcc: evil@x.test",
    "x\u2029Bcc: evil@x.test",
    "=?utf-8?q?x=0D=0ABcc=3A_evil=40x?=",
    "a\0b",
    "a\udcffb",
]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.write("subject.txt.j2", "News for {{ name }}")
    desk.write("body.txt.j2", "Hello {{ name }},\nbye\n")
    desk.write("body.html.j2", "<p>Hello <b>{{ name }}</b></p>\n")
    return desk


def test_a_row_becomes_a_message_to_its_address(desk: Desk) -> None:
    """Subject, both bodies and the envelope come from the row; nothing is attached."""
    form: Composer = desk.form()

    composed = form.compose({"name": "Zoë & Co"}, ANN, occasion())
    message = read(composed)

    assert not form.names_recipients
    assert composed.recipients == (ANN,)
    assert composed.attached == ()
    assert structure(message) == ("multipart/alternative", ["text/plain", "text/html"])
    assert (message["From"], message["To"]) == ("Acme News <news@acme.example>", "ann@shop.example")
    assert message["Subject"] == "News for Zoë & Co"
    assert message["Message-ID"] == "<ann.shop.example@acme.example>"
    assert text_of(message) == "Hello Zoë & Co,\nbye\n"
    assert html_of(message) == "<p>Hello <b>Zoë &amp; Co</b></p>\n"


def test_a_template_sees_campaign_row_token_and_the_unsubscribe_url(desk: Desk) -> None:
    """They win over columns of the same name, and the token is that of the first recipient."""
    desk.write("body.txt.j2", "{{ campaign }} {{ row }} {{ unsubscribe_url }}")
    form = desk.form(unsubscribe_url="https://acme.example/u/{{ token }}")

    composed = form.compose({"name": "Ann", "row": "?"}, ANN, occasion(token=lambda address: f"t-{address[:3]}"))

    assert form.variables == {"name", "campaign", "row", "token"}
    assert text_of(read(composed)) == "hello 17 https://acme.example/u/t-ann\n"
    assert read(composed)["List-Unsubscribe"] == "<https://acme.example/u/t-ann>"


def test_without_a_secret_there_is_no_token(desk: Desk) -> None:
    """A template that needs one fails, rather than sending links that do nothing."""
    form = desk.form(unsubscribe_url="https://acme.example/u/{{ token }}")
    with pytest.raises(RowRenderError) as caught:
        form.compose({"name": "Ann"}, ANN, occasion())
    assert (caught.value.code, caught.value.variable) == ("E301", "token")
    assert "MAILER_TOKEN_SECRET" in str(caught.value.hint)


def test_an_unsubscribe_url_that_nobody_set_says_where_to_set_it(desk: Desk) -> None:
    """It is no column, so no column is offered for it."""
    desk.write("body.txt.j2", "{{ unsubscribe_url }}")
    with pytest.raises(RowRenderError) as caught:
        desk.compose({"name": "Ann", "unsubscribe": "x"})
    assert "[campaign]" in str(caught.value.hint)


def test_copies_are_recipients_and_only_cc_is_seen(desk: Desk) -> None:
    """To comes first, then Cc and Bcc, nobody twice; Bcc stands nowhere in the message."""
    composed = desk.compose(
        {"name": "Ann", "boss": "boss@Acme.example"},
        cc='Boss <{{ boss }}>, "Roe, Jane" <jane@acme.example>, ann@shop.example,',
        bcc="archive@acme.example, boss@acme.example",
    )
    message = read(composed)

    assert [spec for spec, _ in composed.recipients] == [
        "ann@shop.example",
        "boss@acme.example",
        "jane@acme.example",
        "archive@acme.example",
    ]
    assert [(box.display_name, box.addr_spec) for box in message["Cc"].addresses] == [
        ("Boss", "boss@acme.example"),
        ("Roe, Jane", "jane@acme.example"),
        ("", "ann@shop.example"),
    ]
    assert "Bcc" not in message
    assert b"archive@" not in composed.content


def test_the_case_of_a_local_part_makes_another_recipient(desk: Desk) -> None:
    """Duplicates are found by the key of an address: the domain's case does not count, the local part's does."""
    composed = desk.compose({"name": "Ann"}, bcc="Ann@shop.example, ann@SHOP.example")
    assert [spec for spec, _ in composed.recipients] == ["ann@shop.example", "Ann@shop.example"]


@pytest.mark.parametrize("copies", ["", "  ", "{{ boss | default('') }}", ",", " , "])
def test_a_setting_that_renders_to_nothing_has_no_copies(desk: Desk, copies: str) -> None:
    """A row without a boss sends no copy, and has no empty Cc."""
    composed = desk.compose({"name": "Ann"}, cc=copies, bcc=copies)
    assert composed.recipients == (ANN,)
    assert "Cc" not in read(composed)


@pytest.mark.parametrize(
    ("field", "address"),
    pairs(["cc", "bcc"], ["bob", "bob@@acme.example", "a@b.test;c@d.test", "Roe, Ann <a@b.test>", *INJECTIONS]),
)
def test_a_bad_copy_makes_the_row_invalid(desk: Desk, field: str, address: str) -> None:
    """Whatever is wrong in Cc or Bcc is said with the header's name, and no message is made."""
    with pytest.raises(UnsafeValueError) as caught:
        desk.compose({"name": "Ann", "boss": address}, **{field: "office@acme.example, {{ boss }}"})
    assert caught.value.field == field.title()


def test_a_name_with_a_comma_is_told_to_be_quoted(desk: Desk) -> None:
    """The likeliest reason of all says what to write."""
    with pytest.raises(UnsafeValueError, match='"Roe, Ann" <'):
        desk.compose({"name": "Ann"}, cc="Roe, Ann <ann@b.test>")


def test_more_copies_than_a_server_takes_are_refused(desk: Desk) -> None:
    """A list has at most 100 of them (RFC 5321 section 4.5.3.1.8)."""
    with pytest.raises(UnsafeValueError, match="at most 100"):
        desk.compose({"name": "Ann"}, cc=", ".join(f"u{number}@acme.example" for number in range(101)))


names = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=60).map(str.strip)


@given(st.lists(st.tuples(names, st.integers(0, 999)), min_size=1, max_size=8))
@example([('Ann "the pen" Roe \\', 1), ("Zoë, Müller & Söhne", 2), ("", 3), ("x" * 60, 4), ("ü" * 60, 5)])
def test_a_list_of_mailboxes_is_read_back_as_it_was_meant(people: list[tuple[str, int]]) -> None:
    """Names of any script and with any punctuation, quoted in the setting, come back one for one."""
    quoted = [(name.replace("=?", "").replace("?=", ""), f"u{number}@acme.example") for name, number in people]
    text = ", ".join(
        '"' + name.replace("\\", "\\\\").replace('"', '\\"') + f'" <{address}>' if name else address
        for name, address in quoted
    )
    header = encode_mailboxes("Cc", parse_mailboxes(text, field="Cc"))

    assert all(len(line) <= 78 for line in header.decode().split("\r\n"))
    # The new parser of Python 3.11 keeps the spaces between two encoded words of a name.
    raw = str(message_from_bytes(header)["Cc"]).replace("\r\n", "")
    assert [(str(make_header(decode_header(name))), spec) for name, spec in getaddresses([raw])] == quoted


def test_an_international_domain_in_to_is_written_as_it_goes_over_the_wire(desk: Desk) -> None:
    """The To header has the address of the envelope, whatever characters the list has it in."""
    wire = "ann@xn--bcher-kva.example"
    form = desk.form(to="{{ name }} <{{ email }}>")
    composed = form.compose({"name": "Zoë", "email": "ann@Bücher.example"}, (wire, wire), occasion())
    assert read(composed)["To"] == f"Zoë <{wire}>"


def test_attached_files_come_last_under_their_names(desk: Desk) -> None:
    """Each path is rendered; the content is byte for byte that of the file, and a path of nothing attaches nothing."""
    desk.shelf.files = {"invoices/7.pdf": b"%PDF-1.7 \r\n.\r\n\0", "terms/Größe.txt": b"caf\xe9\n.\n"}

    composed = desk.compose(
        {"name": "Ann", "number": 7},
        attachments=("invoices/{{ number }}.pdf", "terms/Größe.txt", "{{ gift | default('') }}"),
    )
    message = read(composed)

    assert structure(message) == (
        "multipart/mixed",
        [("multipart/alternative", ["text/plain", "text/html"]), "application/pdf", "text/plain"],
    )
    files = list(message.iter_attachments())
    assert [file.get_filename() for file in files] == ["7.pdf", "Größe.txt"]
    assert [content_of(file) for file in files] == list(desk.shelf.files.values())
    assert all(file.get_content_disposition() == "attachment" for file in files)
    assert [file.name for file in composed.attached] == ["invoices/7.pdf", "terms/Größe.txt"]


def test_a_message_of_one_part_can_carry_files(desk: Desk, tmp_path: Path) -> None:
    """The text stands in front of the files, without an alternative around it."""
    (tmp_path / "templates/hello/body.html.j2").unlink()
    desk.shelf.files = {"a.zip": b"PK"}

    assert structure(read(desk.compose({"name": "Ann"}, attachments=("a.zip",)))) == (
        "multipart/mixed",
        ["text/plain", "application/zip"],
    )


def test_one_content_under_two_names_is_stored_once(desk: Desk) -> None:
    """Both parts are there, and the file is among the files once."""
    desk.shelf.files = {"a.pdf": b"same", "b.pdf": b"same", "c/a.pdf": b"other"}

    composed = desk.compose({"name": "Ann"}, attachments=("a.pdf", "b.pdf", "c/a.pdf"))

    assert [file.size for file in composed.attached] == [4, 5]
    assert [file.get_filename() for file in read(composed).iter_attachments()] == ["a.pdf", "b.pdf", "a.pdf"]


def test_a_missing_file_names_the_setting(desk: Desk) -> None:
    """The error has the rendered path, and where the path was written."""
    desk.shelf.files = {"a.pdf": b"x"}
    form = desk.form(attachments=("a.pdf", "invoices/{{ number }}.pdf"))
    with pytest.raises(TemplateError) as caught:
        form.compose({"name": "Ann", "number": 8}, ANN, occasion())
    assert caught.value.code == "E309"
    assert "invoices/8.pdf" in caught.value.message
    assert caught.value.where == "[campaign] attachments[1]:1   invoices/{{ number }}.pdf"


def test_a_file_that_every_row_has_is_looked_for_before_the_first_row(desk: Desk) -> None:
    """A mistyped path stops the campaign at once, and the file's content is part of what the campaign is."""
    with pytest.raises(TemplateError) as caught:
        desk.form(attachments=("terms.pdf",))
    assert caught.value.code == "E309"

    desk.shelf.files = {"terms.pdf": b"of 2025"}
    before = desk.form(attachments=("terms.pdf",)).sha256
    assert before == desk.form(attachments=("terms.pdf",)).sha256
    desk.shelf.files = {"terms.pdf": b"of 2026"}
    assert before != desk.form(attachments=("terms.pdf",)).sha256


def test_more_files_than_any_message_needs_are_refused(desk: Desk) -> None:
    """A count is capped before a message of endless parts is made."""
    desk.shelf.files = {"a.pdf": b"x"}
    with pytest.raises(TemplateError, match="too many"):
        desk.compose({"name": "Ann"}, attachments=("a.pdf",) * 101)


HEADER_SETTINGS: list[dict[str, object]] = [
    {"subject": "{{ name }}"},
    {"to": "{{ name }} <ann@shop.example>"},
    {"reply_to": "{{ name }} <ann@shop.example>"},
    {"headers": {"X-Name": "{{ name }}"}},
    {"headers": {"List-Help": "<https://acme.example/{{ name }}>"}},
    {"unsubscribe_url": "https://acme.example/{{ name }}"},
    {"cc": "{{ name }} <boss@acme.example>"},
    {"bcc": "{{ name }} <boss@acme.example>"},
]


@pytest.mark.parametrize(("setting", "value"), pairs(HEADER_SETTINGS, INJECTIONS), ids=ascii)
def test_no_value_becomes_a_header(tmp_path: Path, setting: dict[str, object], value: str) -> None:
    """A row whose value would break a header is invalid, in whatever header it is."""
    desk = Desk(tmp_path)
    desk.write("subject.txt.j2", "News")
    desk.write("body.txt.j2", "Hello")
    with pytest.raises(UnsafeValueError):
        desk.compose({"name": value}, **setting)


# Corpus 79-91, 115, 116.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    st.lists(st.tuples(st.text(max_size=40), st.binary(max_size=300)), max_size=4),
    st.booleans(),
)
@example("\r\n.\r\nMAIL FROM:<e@x>", [("a\r\nb: c.pdf", b"\r\n.\r\nQUIT\r\n"), ("invoice\u202efdp.exe", b"")], True)
@example("", [("\xa0", b""), ("x" * 300 + "." + "y" * 18 + " z", b"")], False)
@example(".\0\r\n--=_", [("=?utf-8?q?x=0D=0A?=.txt", b"\0" * 65)], True)
def test_every_message_is_read_back_as_it_was_meant(
    desk: Desk, value: str, files: list[tuple[str, bytes]], has_image: bool
) -> None:
    """Bodies, files, their order, their contents and the image come back; no line is long, no octet is stray."""
    image = '<img src="cid:logo.png">' if has_image else ""
    desk.write("logo.png", PNG)
    desk.write("subject.txt.j2", "News")
    desk.write("body.txt.j2", "<{{ name }}>")
    desk.write("body.html.j2", f"<p>{{{{ name }}}}</p>{image}")
    desk.shelf = Shelf({f"{number}/{name}": content for number, (name, content) in enumerate(files)})
    form = desk.form(attachments=tuple(f"{{{{ files[{number}] }}}}" for number in range(len(files))))
    paths = list(desk.shelf.files)
    # What a template strips of a path is not the test's business.
    desk.shelf.files |= {path.strip(" \t\n"): content for path, content in desk.shelf.files.items()}

    message = read(form.compose({"name": value, "files": paths}, ANN, occasion()))

    lines = value.replace("\r\n", "\n").replace("\r", "\n")
    assert text_of(message) == f"<{lines}>\n"
    attachments = [part for part in message.walk() if part.get_content_disposition() == "attachment"]
    assert [content_of(part) for part in attachments] == [content for _, content in files]
    for part in attachments:
        name = part.get_filename()
        assert name
        assert len(name) <= 150
        assert name.isprintable() or all(not letter.isascii() for letter in name if not letter.isprintable())
        assert "/" not in name
    if has_image:
        assert content_of(part_of(message, "image/png")) == PNG
        assert message["Subject"] == "News"


def test_equal_rows_make_equal_bytes_in_every_process(desk: Desk) -> None:
    """Nothing in a message depends on when or where it was built."""
    desk.shelf.files = {"a.pdf": b"x"}
    desk.write("logo.png", PNG)
    desk.write("body.html.j2", '<img src="cid:logo.png">')

    first, second = (desk.compose({"name": "Ann"}, attachments=("a.pdf",)) for _ in range(2))

    assert on_the_wire(first) == on_the_wire(second)


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "Other"},
        {"cc": "boss@acme.example"},
        {"bcc": "boss@acme.example"},
        {"headers": {"X-A": "b"}},
        {"list_id": "news.acme.example"},
        {"inline_css": True},
        {"attachments": ("{{ path }}",)},
    ],
    ids=str,
)
def test_the_hash_covers_what_the_settings_change(desk: Desk, change: dict[str, object]) -> None:
    """Two campaigns with one hash make the same message of a row."""
    assert desk.form().sha256 == desk.form().sha256
    assert desk.form().sha256 != desk.form(**change).sha256


def test_places_are_shown_as_the_campaign_calls_them(desk: Desk, tmp_path: Path) -> None:
    """An absolute folder is nobody's way to speak of a template."""
    desk.write("body.txt.j2", "a\n{{ nmae }}")
    with pytest.raises(RowRenderError) as caught:
        desk.compose({"name": "Ann"})
    assert str(caught.value.where).startswith("templates/hello/body.txt.j2:2   {{ nmae }}")
    with pytest.raises(RowRenderError) as caught:
        desk.compose({"name": "Ann"}, template="templates/hello")
    assert caught.value.template == "templates/hello/body.txt.j2"
    with pytest.raises(RowRenderError) as caught:
        desk.compose({"name": "Ann"}, template=str(tmp_path / "templates/hello"))
    assert caught.value.template == str(tmp_path / "templates/hello/body.txt.j2")


def test_a_list_without_a_column_shows_where_it_is_missed(desk: Desk) -> None:
    """The first place that lacks a column is told from the columns alone."""
    form = desk.form()
    assert form.first_lack(["name"], "recipients.csv") is None
    assert str(form.first_lack(["email"], "recipients.csv")).startswith("templates/hello/subject.txt.j2:1")


def test_styles_are_written_into_elements_after_rendering(desk: Desk) -> None:
    """Media queries stay, and no sheet is loaded from anywhere."""
    (desk.base / "local.css").write_text("p { color: red }")
    link = (
        f'<link rel="stylesheet" href="{desk.base}/local.css"><link rel="stylesheet" href="http://127.0.0.1:9/x.css">'
    )
    style = "<style>p{margin:0} a:hover{color:red} @media print{p{margin:9px}}</style>"
    row = "<table>{% for n in names %}<tr><td><p>{{ n }}</p></td></tr>{% endfor %}</table>"
    desk.write("body.html.j2", f"<html><head>{link}{style}</head><body>{row}</body></html>")

    html = html_of(read(desk.compose({"name": "Ann", "names": ["<a>", "b"]}, inline_css=True)))

    assert html.count('<p style="margin: 0;">') == 2
    assert '<p style="margin: 0;">&lt;a&gt;</p>' in html
    assert "@media print" in html
    assert ":hover" in html
    assert "red" not in html.replace("a:hover { color: red; }", "")
    assert "local.css" in html


@pytest.mark.parametrize("inline_css", [False, True])
def test_a_lone_surrogate_leaves_the_row_out_with_styles_and_without(desk: Desk, inline_css: bool) -> None:
    """JSON can hold one, and no message can (RFC 3629 section 3)."""
    desk.write("body.txt.j2", "Hello")
    desk.write("body.html.j2", "<style>p{margin:0}</style><p>{{ name }}</p>")
    with pytest.raises(UnsafeValueError, match=r"HTML part has a lone surrogate \(U\+DCFF\)"):
        desk.compose({"name": "\udcff"}, subject="Hi", inline_css=inline_css)


def test_without_the_text_extra_there_is_no_text_part(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with only HTML then sends only HTML, and says so for a warning to be given."""
    (desk.base / "templates/hello/body.txt.j2").unlink()
    monkeypatch.setattr(folder, "can_derive_text", lambda: False)

    form = desk.form()

    assert (form.lacks_text, form.has_derived_text) == (True, False)
    assert structure(read(form.compose({"name": "Ann"}, ANN, occasion()))) == "text/html"

"""The single-file form: what a letter says, and what the settings of the campaign put over it."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailer.policy.attachment_marks import digests_in
from mailer.vocabulary.settings import CampaignSettings
from tests.letter.letters import ANN, HEAD, Received, load, receive, text_of

if TYPE_CHECKING:
    from email.message import Message


def parts_of(received: Received) -> list["Message[str, str]"]:
    return [part for part in received.message.walk() if not part.is_multipart()]


def test_header_names_are_read_in_any_case(tmp_path: Path) -> None:
    """`TO:`, `to:` and `To:` are one header."""
    letter = "tO: {{ email }}\nFROM: news@acme.example\nsubject: Hi\ncC: bob@example.com\n\nHi\n"
    received = receive(load(tmp_path, letter))
    assert received.recipients == ["ann@example.com", "bob@example.com"]
    assert received.text("Subject") == "Hi"


def test_a_fixed_from_is_the_sender(tmp_path: Path) -> None:
    """The reverse-path is known before the first row."""
    form = load(tmp_path, HEAD + "\nHi\n")
    assert form.sender == "Acme <news@acme.example>"
    assert not form.has_varying_sender


def test_a_from_with_jinja2_is_rendered_for_each_row(tmp_path: Path) -> None:
    """The campaign's sender is then only the reverse-path."""
    letter = "To: {{ email }}\nFrom: {{ agent }} <{{ agent | lower }}@acme.example>\nSubject: x\n\nHi\n"
    form = load(tmp_path, letter, CampaignSettings(sender="news@acme.example"))
    assert form.sender is None
    assert form.has_varying_sender
    received = receive(form, ANN | {"agent": "Zoe"})
    assert received.addresses("From") == [("Zoe", "zoe@acme.example")]


def test_the_senders_of_two_branches_vary(tmp_path: Path) -> None:
    """Neither of two From lines is the one of every row."""
    letter = (
        "To: {{ email }}\n{% if vip -%}\nFrom: a@acme.example\n{%- else -%}\nFrom: b@acme.example\n{%- endif %}\n"
        "Subject: x\n\nHi\n"
    )
    form = load(tmp_path, letter)
    assert form.has_varying_sender
    assert receive(form, ANN | {"vip": ""}).addresses("From") == [("", "b@acme.example")]


def test_without_a_to_the_address_of_the_row_is_used(tmp_path: Path) -> None:
    """A letter that names nobody goes to the email column."""
    form = load(tmp_path, "From: news@acme.example\nSubject: Hi\nCc: bob@example.com\n\nTo: is not a header here\n")
    assert not form.names_recipients
    received = receive(form, address="ann@example.com")
    assert received.recipients == ["ann@example.com", "bob@example.com"]
    assert received.addresses("To") == [("", "ann@example.com")]


def test_a_to_in_the_settings_shows_the_name(tmp_path: Path) -> None:
    """The row goes to its email column, as with a template folder."""
    form = load(tmp_path, HEAD + "\nHi\n", CampaignSettings(to="{{ name }} <{{ email }}>"))
    assert not form.names_recipients
    received = receive(form, address="ann@example.com")
    assert received.addresses("To") == [("Ann", "ann@example.com")]
    assert received.recipients == ["ann@example.com"]


def test_each_envelope_recipient_is_there_once_to_first(tmp_path: Path) -> None:
    """Bcc reaches the envelope and never the message."""
    letter = f"Bcc: archive@example.com, ann@example.com\nCc: Bob <bob@EXAMPLE.com>, {{{{ extra }}}}\n{HEAD}\nHi\n"
    received = receive(load(tmp_path, letter), ANN | {"extra": "carol@example.com, bob@example.com"})
    assert received.recipients == ["ann@example.com", "bob@example.com", "carol@example.com", "archive@example.com"]
    assert b"archive" not in received.content
    assert received.message["Bcc"] is None


def test_a_list_may_leave_addresses_empty(tmp_path: Path) -> None:
    """An empty cell in Cc is nobody, and a Cc of nobody is no header."""
    received = receive(load(tmp_path, f"Cc: {{{{ cc }}}}\nReply-To: {{{{ cc }}}}\n{HEAD}\nHi\n"), ANN | {"cc": ""})
    assert received.message["Cc"] is None
    assert received.message["Reply-To"] is None
    assert received.recipients == ["ann@example.com"]


def test_international_domains_go_out_in_a_labels(tmp_path: Path) -> None:
    """The envelope and the header have one form of an address."""
    received = receive(load(tmp_path, HEAD + "\nHi\n"), ANN | {"email": "ann@bücher.example"})
    assert received.recipients == ["ann@xn--bcher-kva.example"]
    assert received.addresses("To") == [("", "ann@xn--bcher-kva.example")]


def test_settings_take_the_place_of_headers(tmp_path: Path) -> None:
    """Subject, sender, copies, Reply-To, List-ID and further headers of the campaign win over the letter's."""
    letter = f"{HEAD}Cc: old@example.com\nReply-To: old@example.com\nX-Kind: old\nX-Kept: kept\n\nHi\n"
    settings = CampaignSettings(
        sender="Other <other@acme.example>",
        subject="For {{ name }}",
        cc="{{ name }} <cc@example.com>",
        bcc="bcc@example.com",
        reply_to="reply@example.com",
        headers={"X-Kind": "{{ name }}"},
        list_id="Acme News <news.acme.example>",
        unsubscribe_url="https://acme.example/u/{{ token }}",
    )
    received = receive(load(tmp_path, letter, settings), ANN | {"name": "Ännchen"}, token=True)
    assert received.addresses("From") == [("Other", "other@acme.example")]
    assert received.text("Subject") == "For Ännchen"
    assert received.addresses("Cc") == [("Ännchen", "cc@example.com")]
    assert received.addresses("Reply-To") == [("", "reply@example.com")]
    assert received.text("X-Kind") == "Ännchen"
    assert received.text("X-Kept") == "kept"
    assert received.message["List-ID"] == '"Acme News" <news.acme.example>'
    assert received.message["List-Unsubscribe"] == "<https://acme.example/u/token-of-ann@example.com>"
    assert received.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert received.recipients == ["ann@example.com", "cc@example.com", "bcc@example.com"]


def test_the_token_is_that_of_the_first_recipient(tmp_path: Path) -> None:
    """Also where only the letter itself says who that is; the body shows the unsubscribe URL."""
    settings = CampaignSettings(unsubscribe_url="https://acme.example/u/{{ token }}")
    form = load(tmp_path, HEAD + "\n{{ token }} {{ unsubscribe_url }}\n", settings)
    assert "unsubscribe_url" not in form.variables
    assert (
        receive(form, token=True).body == "token-of-ann@example.com https://acme.example/u/token-of-ann@example.com\n"
    )


@pytest.mark.parametrize(
    "settings", [CampaignSettings(), CampaignSettings(cc="settings@example.com", bcc="hidden@example.com")]
)
def test_a_tester_gets_it_alone(tmp_path: Path, settings: CampaignSettings) -> None:
    """Whoever the letter names is in neither its headers nor its envelope, and the token is the tester's."""
    head = HEAD.replace(
        "To: {{ email }}", "To: {{ name }} <{{ email }}>, second@example.com\nCc: cc@example.com\nBcc: b@x.test"
    )
    form = load(tmp_path, f"{head}X-Token: {{{{ token }}}}\n\n{{{{ name }}}} {{{{ token }}}}\n", settings)
    assert form.names_recipients
    received = receive(form, address="tester@acme.example", token=True)
    assert received.recipients == ["tester@acme.example"]
    assert received.addresses("To") == [("", "tester@acme.example")]
    assert [name for name in received.message if name.lower() in ("cc", "bcc")] == []
    assert received.body == "Ann token-of-tester@acme.example\n"
    assert received.message["X-Token"] == "token-of-tester@acme.example"
    assert b"example.com" not in received.content


def test_without_a_to_an_address_is_needed(tmp_path: Path) -> None:
    """It is a mistake of the caller, not of the row."""
    with pytest.raises(ValueError, match="whom a row goes to"):
        receive(load(tmp_path, "From: a@acme.example\nSubject: Hi\n\nHi\n"))


def test_columns_win_over_the_variables_that_are_given(tmp_path: Path) -> None:
    """mailmerge knows no `campaign` and no `row`: a list may have columns of these names."""
    form = load(tmp_path, HEAD + "\n{{ campaign }} {{ row }}\n")
    assert receive(form, number=7).body == "spring 7\n"
    assert receive(form, ANN | {"campaign": "mine", "row": "first"}).body == "mine first\n"


def test_attachments_of_the_settings_come_after_those_of_the_letter(tmp_path: Path) -> None:
    """Both are found below the letter's folder; the queue is given each file once."""
    (tmp_path / "a.txt").write_text("A")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "Ann.txt").write_text("B")
    form = load(
        tmp_path,
        f"{HEAD}Attachment: a.txt\nAttachment: ./a.txt\n\nHi\n",
        CampaignSettings(attachments=("b/{{ name }}.txt",)),
    )
    received = receive(form)
    assert [part.get_filename() for part in parts_of(received)] == [None, "a.txt", "a.txt", "Ann.txt"]
    assert digests_in(received.composed.content) == [file.digest for file in received.composed.attached]
    assert len(received.composed.attached) == 2
    ids = [part["Content-ID"] for part in parts_of(received)[1:]]
    assert len(set(ids)) == 3


def test_an_attachment_that_a_row_leaves_empty_is_none(tmp_path: Path) -> None:
    """Some rows may have no file."""
    received = receive(load(tmp_path, f"{HEAD}Attachment: {{{{ file }}}}\n\nHi\n"), ANN | {"file": ""})
    assert received.message.get_content_type() == "text/plain"


def test_a_whole_path_below_the_folder_is_as_good_as_a_short_one(tmp_path: Path) -> None:
    """mailmerge takes absolute paths; those that stay inside are taken."""
    (tmp_path / "a.txt").write_text("A")
    received = receive(load(tmp_path, f"{HEAD}Attachment: {tmp_path}/x/../a.txt\n\nHi\n"))
    assert parts_of(received)[1].get_payload(decode=True) == b"A"


def test_a_file_beside_alternatives_is_none_of_them(tmp_path: Path) -> None:
    """Alternatives are forms of one text (RFC 2046 section 5.1.4), so the file goes around them."""
    (tmp_path / "x.png").write_bytes(b"\x89PNG")
    letter = (
        f'{HEAD}Content-Type: multipart/alternative; boundary="b"\nAttachment: x.png\n\n'
        '--b\nContent-Type: text/plain\n\nHi\n--b\nContent-Type: text/html\n\n<img src="x.png">\n'
    )
    received = receive(load(tmp_path, letter))
    assert [part.get_content_type() for part in received.message.walk()] == [
        "multipart/related",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "application/octet-stream",
    ]
    content_id = str(parts_of(received)[2]["Content-ID"]).strip("<>")
    assert f'src="cid:{content_id}"' in text_of(parts_of(received)[1])


def test_parts_written_out_keep_what_they_are(tmp_path: Path) -> None:
    """Nested parts, encoded ones, and their Content-ID and disposition."""
    letter = (
        f'{HEAD}Content-Type: multipart/mixed; boundary="a"\n\n'
        '--a\nContent-Type: multipart/related; boundary="b"\n\n'
        '--b\nContent-Type: text/html\n\n<p>{{ name }}</p><img src="cid:dot">\n'
        '--b\nContent-Type: image/gif\nContent-ID: <dot>\nContent-Disposition: inline;\n filename="dot.gif"\n'
        "Content-Transfer-Encoding: base64\n\nR0lGODlhAQABAAAAACw=\n--b--\n"
        "--a\nContent-Type: text/calendar; method=REQUEST\nContent-Transfer-Encoding: quoted-printable\n\nBEGIN=3AX\n"
        "--a--\n"
    )
    received = receive(load(tmp_path, letter))
    html, image, calendar = parts_of(received)
    assert text_of(html) == '<p>Ann</p><img src="cid:dot">\n'
    assert (image.get_payload(decode=True), image["Content-ID"]) == (b"GIF89a\x01\x00\x01\x00\x00\x00\x00,", "<dot>")
    assert (image.get_content_disposition(), image.get_filename()) == ("inline", "dot.gif")
    assert (text_of(calendar), calendar.get_param("method")) == ("BEGIN:X\n", "REQUEST")


def test_equal_letters_are_equal_bytes(tmp_path: Path) -> None:
    """Boundaries and Content-IDs come from the contents, so another try is the same message."""
    (tmp_path / "a.txt").write_text("A")
    letter = f"{HEAD}Content-Type: text/markdown\nAttachment: a.txt\n\n*Hi* {{{{ name }}}}\n"
    first, second = (receive(load(tmp_path, letter)).content for _ in range(2))
    assert first == second


def test_the_hash_covers_all_that_every_message_has(tmp_path: Path) -> None:
    """Letter, includes, settings and the files that every row gets; the files that rows choose are the rows' own."""
    (tmp_path / "a.txt").write_text("A")
    (tmp_path / "foot.txt").write_text("bye")
    letter = f"{HEAD}Attachment: a.txt\n\nHi {{% include 'foot.txt' %}}\n"
    hashes = [load(tmp_path, letter).sha256, load(tmp_path, letter).sha256]
    hashes.append(load(tmp_path, letter, CampaignSettings(cc="x@example.com")).sha256)
    hashes.append(load(tmp_path, letter, CampaignSettings(sender="x@example.com")).sha256)
    (tmp_path / "foot.txt").write_text("good-bye")
    hashes.append(load(tmp_path, letter).sha256)
    (tmp_path / "a.txt").write_text("B")
    hashes.append(load(tmp_path, letter).sha256)
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 5


@pytest.mark.parametrize(
    ("kind", "body", "column"),
    [
        ("text/html", "<p>{{ name }}</p>", "name"),
        ("text/html", "<p>{{ name | upper }}</p>", "name"),
        ("text/html", "<p>{{ name | e }}</p>", None),
        ("text/html", "<p>{{ name | safe }}</p>", None),
        ("text/html", "{% autoescape true %}<p>{{ name }}</p>{% endautoescape %}", None),
        ("text/html", "{% for word in words %}<p>{{ word }}</p>{% endfor %}", "word"),
        ("text/html", "{% macro p(a) %}<p>{{ a }}</p>{% endmacro %}{{ p(email) }}", None),
        ("text/html", "{% macro p(a) %}<p>{{ a }}</p>{% endmacro %}{{ p(name) }}", "name"),
        ("text/html", "{{ email }}", None),
        ("text/markdown", "{{ name }}", "name"),
        ("text/markdown", "{{ company }}", None),
        ("text/plain", "{{ name }}", None),
        ('multipart/mixed; boundary="b"', "--b\nContent-Type: text/html\n\n{{ company }}\n--b--", "company"),
        ('multipart/mixed; boundary="b"', "--b\nContent-Type: text/plain\n\n{{ company }}\n--b--", None),
    ],
)
def test_a_value_that_was_not_escaped_for_html_is_named(
    tmp_path: Path, kind: str, body: str, column: str | None
) -> None:
    """The column is told where its value has < or & and went into an HTML part as it is."""
    row = ANN | {"name": "<b>Ann</b>", "company": "Roe & Co", "words": ["a", "<i>"]}
    letter = f"To: {{{{ email }}}}\nFrom: a@acme.example\nSubject: {{{{ name }}}}\nContent-Type: {kind}\n\n{body}\n"
    assert receive(load(tmp_path, letter), row).composed.unescaped == column


def test_styles_are_written_into_the_elements_when_asked(tmp_path: Path) -> None:
    """inline_css works on each HTML part, after rendering."""
    letter = f"{HEAD}Content-Type: text/html\n\n<style>p {{ color: red }}</style><p>{{{{ name }}}}</p>\n"
    received = receive(load(tmp_path, letter, CampaignSettings(inline_css=True)))
    assert 'style="color: red' in received.body


def test_windows_line_ends_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    """A letter saved by any editor is the same letter."""
    form = load(tmp_path, "\ufeff" + HEAD.replace("\n", "\r\n") + "\r\nHi {{ name }},\r\n\r\nbye\r\n")
    assert form.names_recipients
    assert receive(form).body == "Hi Ann,\n\nbye\n"


def test_tags_before_the_header_leave_no_blank_line(tmp_path: Path) -> None:
    """Where a letter begins with tags, the header section begins after them."""
    form = load(tmp_path, "{% set hello = 'Hi' %}\n\n" + HEAD + "\n{{ hello }} {{ name }}\n")
    assert form.sender == "Acme <news@acme.example>"
    assert form.names_recipients
    assert receive(form).body == "Hi Ann\n"


def test_a_header_may_come_from_other_files(tmp_path: Path) -> None:
    """Included and inherited header lines count like any other, macros from another file are at hand."""
    (tmp_path / "head.txt").write_text(HEAD)
    (tmp_path / "base.txt").write_text("{% include 'head.txt' %}\n\n{% block body %}{% endblock %}\nbye")
    (tmp_path / "words.txt").write_text("{% macro hello(name) %}Hello {{ name }}{% endmacro %}")
    for letter in (
        "{% include 'head.txt' %}\n\nHi Ann\nbye",
        "{% extends 'base.txt' %}\n{% block body %}Hi: {{ name }}{% endblock %}",
    ):
        form = load(tmp_path, letter)
        assert form.names_recipients
        assert form.has_varying_sender
        assert receive(form).addresses("From") == [("Acme", "news@acme.example")]
    form = load(
        tmp_path, "{% import 'words.txt' as words %}\nFrom: a@acme.example\nSubject: x\n\n{{ words.hello(name) }}\n"
    )
    assert not form.names_recipients
    assert receive(form, address="ann@example.com").body == "Hello Ann\n"


def test_html_alone_lacks_a_text(tmp_path: Path) -> None:
    """Markdown and alternatives have one."""
    assert load(tmp_path, f"{HEAD}Content-Type: Text/HTML\n\n<p>Hi</p>\n").lacks_text
    assert not load(tmp_path, f"{HEAD}Content-Type: text/markdown\n\nHi\n").lacks_text
    assert not load(tmp_path, f"{HEAD}\nHi\n").lacks_text

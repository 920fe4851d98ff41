"""The HTML of a mail as a document that may be given to a browser."""

import re
from email.message import EmailMessage

import pytest

from mailer.web import mail_document as documents
from mailer.web.mail_document import mail_document
from mailer.web.opened import Part, open_message
from tests.web.asking import PNG, letter


def shown(html: str, *, dark: bool = False) -> str:
    return mail_document(html, open_message(letter(html="x")).parts, dark=dark).decode()


@pytest.mark.parametrize("reference", ["cid:logo", "CID:logo", "cid:lo%67o", "cid:l&#111;go"])
def test_an_image_of_the_message_is_within_the_document(reference: str) -> None:
    assert f'<img src="{documents.data_url(open_message(letter(html="x")).parts[2])}">' in shown(
        f'<img src="{reference}">'
    )


def test_what_is_no_image_does_not_come_in() -> None:
    message = EmailMessage()
    message.set_content("<p>", subtype="html")
    message.add_related(b"<script>", "text", "html", cid="<page>")
    assert b"cid:page" in mail_document("<img src=cid:page>", open_message(message.as_bytes()).parts)


def test_an_image_named_without_end_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MOST_IMAGES", 1000)
    part = Part(number=1, content_type="image/png", name=None, content_id="x", is_attachment=False, content=PNG)
    assert len(mail_document("<img src=cid:x>" * 500, [part])) < 500 * len("<img src=cid:x>") + 1200


@pytest.mark.parametrize(
    "element",
    ["<link rel=preconnect href=//x>", "<IFRAME\nsrc=//x>", "<object/data=//x>", "<<base href=x>", "<embed>"],
)
def test_no_element_is_left_that_browsers_connect_for_before_they_ask_the_policy(element: str) -> None:
    assert not re.search("<(link|iframe|object|base|embed)", shown(f"<p>{element}</p>"), re.IGNORECASE)
    assert "<x-" in shown(element)


def test_the_mail_gets_the_colours_that_are_asked_for() -> None:
    html = "<style>@media (prefers-color-scheme: dark) { p { color: red } }</style>"
    assert "@media (min-width: 0px)" in shown(html, dark=True)
    assert "color-scheme:dark" in shown(html, dark=True)
    assert "@media (max-width: 0px)" in shown(html)


def test_a_document_type_stays_in_front() -> None:
    assert shown("<!DOCTYPE html><p>x").startswith("<!DOCTYPE html><style>")
    assert shown("<p>x").startswith("<!doctype html><style>")

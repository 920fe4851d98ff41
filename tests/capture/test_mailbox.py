"""Promises of the capture server's mailbox."""

import pytest

from mailer.capture.mailbox import Captured, Mailbox


def message(content: bytes = b"Subject: hi\r\n\r\nhello\r\n", *recipients: str, answered: bool = True) -> Captured:
    return Captured(
        reverse_path="a@example.com", recipients=recipients or ("r@example.com",), content=content, answered=answered
    )


def test_the_newest_message_comes_first_and_is_found_by_its_id() -> None:
    mailbox, first, second = Mailbox(), message(), message()
    mailbox.add(first)
    mailbox.add(second)
    assert list(mailbox) == [second, first]
    assert mailbox.get(first.id) is first
    assert mailbox.get("nothing") is None


def test_the_number_of_kept_messages_is_bounded_and_the_counts_go_on() -> None:
    mailbox = Mailbox(keep=3)
    sent = [message() for _ in range(10)]
    for one in sent:
        mailbox.add(one)
    assert list(mailbox) == sent[:6:-1]
    assert mailbox.accepted == 10
    assert mailbox.accepted_for == {"r@example.com": 10}


def test_the_bytes_of_kept_messages_are_bounded() -> None:
    mailbox = Mailbox(keep_bytes=100)
    for size in (40, 40, 40, 90):
        mailbox.add(message(b"x" * size))
        assert sum(len(one.content) for one in mailbox) <= 100
    assert [len(one.content) for one in mailbox] == [90]
    mailbox.add(message(b"x" * 101))
    assert len(mailbox) == 0
    assert mailbox.accepted == 5


def test_a_message_taken_without_a_reply_is_counted_apart() -> None:
    mailbox = Mailbox()
    mailbox.add(message(b"", "a@example.com", "b@example.com"))
    mailbox.add(message(b"", "b@example.com", answered=False))
    assert (mailbox.accepted, mailbox.dropped) == (1, 1)
    assert mailbox.accepted_for == {"a@example.com": 1, "b@example.com": 1}
    assert mailbox.dropped_for == {"b@example.com": 1}


@pytest.mark.parametrize(
    ("content", "subject"),
    [
        (b"Subject: hello\r\n\r\n", "hello"),
        (b"From: a@example.com\r\nSUBJECT: hello\r\nTo: b\r\n\r\nx", "hello"),
        (b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= =?utf-8?q?_aus_Ulm?=\r\n\r\n", "Grüße aus Ulm"),
        (b"Subject: a long\r\n one\r\nTo: b\r\n\r\n", "a long one"),
        ("Subject: Grüße\r\n\r\n".encode(), "Grüße"),
        (b"Subject: caf\xe9\r\n\r\n", "caf\\xe9"),
        (b"Subject: =?nonsense?b?AAAA?=\r\n\r\n", "=?nonsense?b?AAAA?="),
        (b"Subject: =?utf-8?b?\xff?=\r\n\r\n", "=?utf-8?b?\\xff?="),
        (b"Subject: =?utf-8?b?G1szMW0=?=\r\n\r\n", "[31m"),
        (b"X-Subject: no\r\n\r\nSubject: nor this", ""),
        (b"\r\nSubject: body", ""),
        (b"", ""),
    ],
)
def test_the_subject_is_decoded_and_safe_to_show(content: bytes, subject: str) -> None:
    assert message(content).subject == subject


def test_a_subject_whose_charset_is_none_is_shown_as_it_is() -> None:
    for subject in (b"=?; charset=''utf-7?b?aGk=?=", b"=?a\x00b?q?charset?=", b"=?; charset=\xff''utf-7?b?aGk=?="):
        assert "charset" in message(b"Subject: " + subject + b"\r\n\r\nhello\r\n").subject

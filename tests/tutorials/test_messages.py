"""Messages: `EmailMessage`, `MIMEMultipart("alternative")`, attachments, and the refused dict of `sendmail`."""

import json

import aiosmtplib
import pytest

from mailer.backends.smtp.connecting import Connector
from mailer.policy.smtp_url import parse_smtp_url
from mailer.vocabulary.settings import SmtpSettings
from tests.tutorials.mail_server import REFUSED, MailServer
from tests.tutorials.pupil import SETTINGS, Pupil

SCRIPT = """\
import json

from mailer import Campaign

report = Campaign(
    name="hello", template="hello", sender="Me <me@example.com>", recipients="people.csv"
).send()
print(json.dumps(dict(report.refused)))
"""
PDF = b"%PDF-1.7\n\0\xff not much of one\r\n.\r\n%%EOF\n"
CONTENT = b"Subject: hello\r\n\r\nHello.\r\n"


@pytest.mark.thorough
async def test_a_text_and_an_html_part_become_alternatives(pupil: Pupil) -> None:
    async with MailServer() as server:
        pupil.environ["MAILER_SMTP_URL"] = server.url
        pupil.trusts(server.certificates)
        assert (await pupil.mailer("send", "--yes")).code == 0
    (message,) = server.messages
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content() == "Hello Ann,\n\nthis is plain text.\n"
    assert "<b>Ann</b>" in html.get_content()


async def test_a_personal_message_for_every_row_of_a_csv_file(pupil: Pupil) -> None:
    pupil.writes(people_csv="email,name\nann@example.com,Ann\nbob@example.com,Bob\n")
    async with MailServer() as server:
        pupil.environ["MAILER_SMTP_URL"] = server.url
        pupil.trusts(server.certificates)
        assert (await pupil.mailer("send", "--yes")).code == 0
    told = {(message["To"], message["Subject"]) for message in server.messages}
    assert told == {("ann@example.com", "Hello Ann"), ("bob@example.com", "Hello Bob")}


@pytest.mark.thorough
async def test_files_are_attached_for_everybody_and_for_each(pupil: Pupil) -> None:
    attached = 'attachments = ["terms.pdf", "bills/{{ name }}.csv"]\n'
    people = "email,name\nann@example.com,Ann\nbob@example.com,Bob\n"
    pupil.writes(mailer_toml=SETTINGS + attached, people_csv=people)
    (pupil.folder / "terms.pdf").write_bytes(PDF)
    (pupil.folder / "bills").mkdir()
    for name in ("Ann", "Bob"):
        (pupil.folder / "bills" / f"{name}.csv").write_text(f"to,{name}\n")
    async with MailServer() as server:
        pupil.environ["MAILER_SMTP_URL"] = server.url
        pupil.trusts(server.certificates)
        done = await pupil.mailer("send", "--yes")
        assert done.code == 0, done
    got = {}
    for message in server.messages:
        assert message.get_content_type() == "multipart/mixed"
        got[message["To"]] = [
            (part.get_filename(), part.get_content_type(), part.get_payload(decode=True))
            for part in message.iter_attachments()
        ]
    assert got == {
        f"{name.lower()}@example.com": [
            ("terms.pdf", "application/pdf", PDF),
            (f"{name}.csv", "text/csv", f"to,{name}\n".encode()),
        ]
        for name in ("Ann", "Bob")
    }


async def test_a_file_that_is_missing_is_said_before_anything_is_sent(pupil: Pupil) -> None:
    pupil.writes(mailer_toml=SETTINGS + 'attachments = ["terms.pdf"]\n')
    error = (await pupil.mailer("send", "--dry-run", "--json")).error
    assert (error["code"], "terms.pdf" in error["message"]) == ("E309", True)


async def test_a_script_gets_the_refused_dict(pupil: Pupil) -> None:
    pupil.writes(people_csv=f"email,name\nann@example.com,Ann\n{REFUSED},Nobody\n", campaign_py=SCRIPT)
    async with MailServer() as server:
        pupil.environ["MAILER_SMTP_URL"] = server.url
        pupil.trusts(server.certificates)
        done = await pupil.mailer("campaign.py")
    assert done.code == 0, done
    assert json.loads(done.out) == {REFUSED: [550, "5.1.1 no such user here"]}
    assert server.recipients == ["ann@example.com"]


async def test_a_session_keeps_the_contract_of_sendmail() -> None:
    async with MailServer() as server:
        route = parse_smtp_url(server.url, ca_pem=server.certificates.ca_pem)
        async with await Connector(route, None, SmtpSettings(max_connections=1)).open() as session:
            refused, words = await session.sendmail("me@example.com", ["ann@example.com", REFUSED], CONTENT)
            assert refused == {REFUSED: (550, "5.1.1 no such user here")}
            assert words == "2.0.0 Ok"
            with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as caught:
                await session.sendmail("me@example.com", [REFUSED], CONTENT)
            assert [error.recipient for error in caught.value.recipients] == [REFUSED]

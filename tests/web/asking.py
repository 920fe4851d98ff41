"""A browser's part: real requests, and the messages they are about."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from mailer.capture.mailbox import Captured, Mailbox
from mailer.web.captured import captured_mail
from mailer.web.pulse import Pulse
from mailer.web.website import Website

PNG = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc"
    b"\xf8\xcf\xc0\xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82"
)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def document(self) -> Any:
        return json.loads(self.body)


async def ask(url: str, *, method: str = "GET", host: str | None = None) -> Answer:
    """One request; `host` goes into the Host header as it is."""

    def send() -> Answer:
        parts = urlsplit(url)
        connection = HTTPConnection(parts.netloc, timeout=10)
        connection.putrequest(method, f"{parts.path or '/'}?{parts.query}".rstrip("?"), skip_host=True)
        if host != "":
            connection.putheader("Host", parts.netloc if host is None else host)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body)

    return await asyncio.to_thread(send)


class Stage:
    """A mailbox, its pulse and its page."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        self.pulse = Pulse(every=0.2)
        self.site = Website(captured_mail(mailbox, self.pulse), self.pulse)

    def take(self, content: bytes, *recipients: str, answered: bool = True) -> Captured:
        message = Captured(
            reverse_path="news@acme.example",
            recipients=recipients or ("ann@example.com",),
            content=content,
            answered=answered,
        )
        self.mailbox.add(message)
        self.pulse.beat()
        return message


@asynccontextmanager
async def staged(mailbox: Mailbox | None = None) -> AsyncIterator[Stage]:
    stage = Stage(Mailbox() if mailbox is None else mailbox)
    async with stage.site:
        yield stage


def letter(subject: str = "News", *, html: str | None = None, attachment: tuple[str, bytes] | None = None) -> bytes:
    """A message with a text part, and what else is asked for; `cid:logo` is an image in it."""
    message = EmailMessage()
    message["From"] = "Acme <news@acme.example>"
    message["To"] = "Ann <ann@example.com>"
    message["Subject"] = subject
    message.set_content("Hello Ann,\n\nthis is our letter.\n")
    if html is not None:
        message.add_alternative(html, subtype="html")
        related = message.get_payload(1)
        assert isinstance(related, EmailMessage)
        related.add_related(PNG, "image", "png", cid="<logo>", filename="logo.png")
    if attachment is not None:
        message.add_attachment(attachment[1], maintype="text", subtype="html", filename=attachment[0])
    return message.as_bytes(policy=message.policy.clone(linesep="\r\n"))

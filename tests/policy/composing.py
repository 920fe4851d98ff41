"""Template folders made for a test, the messages that the folder form makes of rows, and what a reader sees of them."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from mailer.policy.attachment_marks import digests_in, encode_file, fill
from mailer.policy.forms.folder import FolderForm, folder_form
from mailer.vocabulary.chunk import Attached
from mailer.vocabulary.composed import Composed, Occasion
from mailer.vocabulary.errors import TemplateError
from mailer.vocabulary.settings import CampaignSettings

ANN = ("ann@shop.example", "ann@shop.example")
SENDER = '"Acme News" <news@acme.example>'


def attached(name: str, content: bytes) -> Attached:
    """A file that is nowhere but in memory."""
    return Attached(digest=hashlib.sha256(content).hexdigest(), size=len(content), name=name, read=lambda: content)


@dataclass
class Shelf:
    """Files in memory by path, as a campaign's folder would have them."""

    files: dict[str, bytes] = field(default_factory=dict)

    def __call__(self, path: str) -> Attached:
        if path not in self.files:
            raise TemplateError("E309", f"there is no file {path} to attach")
        return attached(path, self.files[path])


@dataclass
class Desk:
    """A campaign's folder with one template, `templates/hello`."""

    base: Path
    shelf: Shelf = field(default_factory=Shelf)

    def write(self, name: str, content: str | bytes) -> None:
        """A file of the template."""
        path = self.base / "templates/hello" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def form(self, **settings: object) -> FolderForm:
        """The folder form with these settings of the campaign."""
        campaign = CampaignSettings(**({"template": "hello"} | settings))  # type: ignore[arg-type]  # by name, in tests
        return folder_form(self.base / "templates/hello", settings=campaign, sender=SENDER, attach=self.shelf)

    def compose(self, columns: Mapping[str, object] | None = None, **settings: object) -> Composed:
        """The message of one row to Ann."""
        return self.form(**settings).compose(columns or {}, ANN, occasion())


def occasion(*, row: int = 17, token: Callable[[str], str] | None = None) -> Occasion:
    """What a message is told besides its row."""
    return Occasion(
        campaign="hello",
        row=row,
        where="recipients.csv",
        date=datetime(2026, 11, 21, 7, 21, 28, tzinfo=UTC),
        message_id=lambda address: f"<{address.replace('@', '.')}@acme.example>",
        token=token,
    )


def on_the_wire(composed: Composed) -> bytes:
    """The message with its files in their places, as the worker fills it."""
    assert digests_in(composed.content) == list(dict.fromkeys(digests_in(composed.content)))
    assert set(digests_in(composed.content)) == {file.digest for file in composed.attached}
    return fill(composed.content, {file.digest: encode_file(file.read()) for file in composed.attached})


def parse(content: bytes) -> EmailMessage:
    """Read a message back; it must be well formed to the octet."""
    assert content.endswith(b"\r\n")
    lines = content[:-2].split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines), "a bare CR, LF or NUL"
    assert max(map(len, lines)) <= 998
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert all(not part.defects for part in message.walk())
    return message


def read(composed: Composed) -> EmailMessage:
    """What a reader sees of a composed message."""
    return parse(on_the_wire(composed))


def structure(part: EmailMessage) -> object:
    """The media types of a message: a leaf as its type, a multipart as its type and its parts."""
    if not part.is_multipart():
        return part.get_content_type()
    return part.get_content_type(), [structure(inner) for inner in part.iter_parts()]  # type: ignore[arg-type]  # parts of an EmailMessage


def content_of(part: object) -> bytes:
    """The decoded content of a leaf."""
    assert isinstance(part, EmailMessage)
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content


def part_of(message: EmailMessage, kind: str) -> EmailMessage:
    """The one part of this media type that is no attachment."""
    (found,) = [
        part
        for part in message.walk()
        if part.get_content_type() == kind and part.get_content_disposition() != "attachment"
    ]
    assert isinstance(found, EmailMessage)
    return found


def text_of(message: EmailMessage) -> str:
    """The text part, with `\\n` line ends."""
    return content_of(part_of(message, "text/plain")).decode().replace("\r\n", "\n")


def html_of(message: EmailMessage) -> str:
    """The HTML part, with `\\n` line ends."""
    return content_of(part_of(message, "text/html")).decode().replace("\r\n", "\n")

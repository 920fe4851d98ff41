"""Letters for tests: written into a folder, composed for a row, and parsed as their reader gets them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.utils import getaddresses
from pathlib import Path
from typing import TYPE_CHECKING

from mailer.backends.attachment_files import AttachmentFolder
from mailer.policy.attachment_marks import encode_file, fill
from mailer.policy.forms.letter import LetterForm, letter_form
from mailer.vocabulary.composed import Composed, Occasion
from mailer.vocabulary.settings import CampaignSettings

if TYPE_CHECKING:
    from email.message import Message

NAME = "letter.txt"
HEAD = "To: {{ email }}\nFrom: Acme <news@acme.example>\nSubject: Hello {{ name }}\n"
ANN = {"email": "ann@example.com", "name": "Ann"}


@dataclass(frozen=True)
class Received:
    """A composed letter and what its reader sees."""

    composed: Composed
    content: bytes
    message: "Message[str, str]"

    @property
    def recipients(self) -> list[str]:
        return [address for address, _ in self.composed.recipients]

    def text(self, name: str) -> str:
        """A header, decoded."""
        return str(make_header(decode_header(self.message[name])))

    def addresses(self, name: str) -> list[tuple[str, str]]:
        return addresses_in(self.message, name)

    @property
    def body(self) -> str:
        return text_of(self.message)


def addresses_in(message: "Message[str, str]", name: str) -> list[tuple[str, str]]:
    """The mailboxes of a header, the names decoded."""
    return [
        (str(make_header(decode_header(shown))), address) for shown, address in getaddresses(message.get_all(name, []))
    ]


def text_of(part: "Message[str, str]") -> str:
    """The decoded text of a part with line feeds."""
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content.decode(part.get_content_charset("utf-8")).replace("\r\n", "\n")


def occasion(row: int = 1, *, where: str = "list.csv", token: bool = False) -> Occasion:
    return Occasion(
        campaign="spring",
        row=row,
        where=where,
        date=datetime(2026, 11, 21, 7, 21, 28, tzinfo=UTC),
        message_id=lambda address: f"<{address.partition('@')[0]}.{row}@acme.example>",
        token=(lambda address: f"token-of-{address}") if token else None,
    )


def load(folder: Path, letter: str, settings: CampaignSettings | None = None) -> LetterForm:
    (folder / NAME).write_text(letter, encoding="utf-8")
    return load_file(folder / NAME, settings)


def load_file(path: Path, settings: CampaignSettings | None = None) -> LetterForm:
    return letter_form(path, settings=settings or CampaignSettings(), attach=AttachmentFolder(path.parent))


def receive(
    form: LetterForm,
    row: Mapping[str, object] = ANN,
    *,
    address: str | None = None,
    number: int = 1,
    token: bool = False,
) -> Received:
    """The message of a row, complete."""
    known = None if address is None else (address, address)
    composed = form.compose(row, known, occasion(number, token=token))
    content = fill(composed.content, {file.digest: encode_file(file.read()) for file in composed.attached})
    return Received(composed, content, message_from_bytes(content))

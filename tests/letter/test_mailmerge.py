"""mailmerge's own files, unchanged: the messages are those that mailmerge 2.3.0 sent, which are kept beside them."""

import csv
import hashlib
import json
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parseaddr
from pathlib import Path

import pytest

from tests.letter.dom import normalised
from tests.letter.letters import addresses_in, load_file, receive, text_of

CASES = Path(__file__).parent / "mailmerge"
TRANSPORT = {"content-transfer-encoding", "content-type", "date", "message-id", "mime-version"}
ADDRESSES = ("from", "to", "cc", "reply-to")


def rows_of(case: Path) -> list[dict[str, str]]:
    with (case / "mailmerge_database.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def cases() -> list[Path]:
    return [path for path in sorted(CASES.iterdir()) if path.is_dir()]


def header_of(message: "Message[str, str]") -> dict[str, object]:
    """What the header says, decoded."""

    def decoded(value: str) -> str:
        return str(make_header(decode_header(value.replace("\n", "").replace("\r", ""))))

    said: dict[str, object] = {}
    for name in {name.lower() for name in message} - TRANSPORT:
        if name in ADDRESSES:
            # mailmerge encodes a whole mailbox as one word, which RFC 2047 section 5 has not; decoded it is the same.
            whole = Message()
            whole[name] = decoded(message[name])
            said[name] = addresses_in(whole, name)
        else:
            said[name] = decoded(message[name])
    return said


def tree_of(message: "Message[str, str]") -> object:
    """Structure, types, contents and file names; Content-IDs stand for the files that they name."""
    files = {
        str(part["Content-ID"]).strip("<>"): f"{part.get_filename()} {digest(part)}"
        for part in message.walk()
        if part["Content-ID"]
    }

    def rename(source: str) -> str:
        return f"file:{files[source[4:]]}" if source.startswith("cid:") else source

    def look(part: "Message[str, str]") -> object:
        if part.is_multipart():
            parts = part.get_payload()
            return part.get_content_type(), [look(inner) for inner in parts if isinstance(inner, Message)]
        kind = part.get_content_type()
        if kind == "text/html":
            return kind, normalised(text_of(part), rename)
        if kind == "text/plain":
            return kind, text_of(part).rstrip("\n")
        return kind, part.get_param("name"), part.get_content_disposition(), part.get_filename(), digest(part)

    return look(message)


def digest(part: "Message[str, str]") -> str:
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_the_messages_are_those_of_mailmerge(case: Path) -> None:
    """Structure, types, decoded contents, file names, headers and envelopes are equal, row by row."""
    form = load_file(case / "mailmerge_template.txt")
    envelopes = json.loads((case / "expected-envelopes.json").read_text())
    rows = rows_of(case)
    assert len(rows) == len(envelopes) > 0
    for number, (row, envelope) in enumerate(zip(rows, envelopes, strict=True), 1):
        expected = message_from_bytes((case / f"expected-{number}.eml").read_bytes())
        received = receive(form, row, number=number)
        assert tree_of(received.message) == tree_of(expected)
        assert header_of(received.message) == header_of(expected)
        assert received.recipients == list(dict.fromkeys(envelope["rcpt_to"]))
        assert form.sender is not None
        assert parseaddr(form.sender)[1] == envelope["mail_from"]


def test_the_sample_of_mailmerge_is_among_them() -> None:
    """The files that `mailmerge --sample` writes run unchanged."""
    assert (CASES / "sample" / "mailmerge_server.conf").is_file()
    assert (CASES / "sample" / "mailmerge_template.txt").read_text().startswith("TO: {{email}}\nSUBJECT: Testing")

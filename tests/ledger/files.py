"""Files to attach, messages that carry them, and what of them is stored."""

import hashlib
from collections.abc import Sequence

from mailer.backends.redis.ledgers import Ledgers
from mailer.policy.attachment_marks import mark
from mailer.vocabulary.campaign import Campaign
from mailer.vocabulary.chunk import Attached, Draft
from tests.ledger.campaigns import all_keys


class File:
    """A file that counts how often it is read."""

    def __init__(self, content: bytes, name: str = "invoice.pdf") -> None:
        self.content = content
        self.digest = hashlib.sha256(content).hexdigest()
        self.name = name
        self.reads = 0

    def read(self) -> bytes:
        self.reads += 1
        return self.content

    @property
    def attached(self) -> Attached:
        return Attached(digest=self.digest, size=len(self.content), name=self.name, read=self.read)


def carrying(rows: Sequence[int], *files: File) -> list[Draft]:
    """Messages that carry these files."""
    content = b"".join(b"\r\n--b\r\n\r\n" + mark(file.digest) for file in files)
    return [
        Draft(
            row=row,
            email=f"r{row}@x.test",
            content=b"Dear %d" % row + content,
            attached=tuple(file.attached for file in files),
        )
        for row in rows
    ]


async def files_of(ledgers: Ledgers, campaign: Campaign) -> set[str]:
    """The digests of the files that are stored."""
    prefix = ledgers.keys.base(campaign.id) + "b:"
    return {key.removeprefix(prefix) for key in await all_keys(ledgers) if key.startswith(prefix)}

"""A campaign in a folder: a template, a list, and what it takes to submit it."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailer.backends.attachment_files import AttachmentFolder
from mailer.backends.redis.ledgers import Ledgers
from mailer.backends.sources.opening import open_source
from mailer.flow.preparation import Prepared, prepare
from mailer.flow.submission import Submission
from mailer.interfaces.source import RecipientSource, Row
from mailer.vocabulary.campaign import Campaign
from mailer.vocabulary.send_options import SendOptions
from mailer.vocabulary.settings import CampaignSettings, DeliverySettings, QueueSettings, SmtpSettings
from tests.ledger.campaigns import SENT
from tests.ledger.hands import hand

CHUNK = 10


@dataclass(frozen=True)
class Once:
    """A list that can be read only once, as stdin is."""

    people: Sequence[dict[str, object]]
    name: str = "stdin"
    content_hash: str | None = None
    columns: tuple[str, ...] | None = None
    trimmed: tuple[str, ...] = ()
    is_repeatable: bool = False

    def rows(self) -> Iterator[Row]:
        return (Row(number, columns) for number, columns in enumerate(self.people, 1))


@dataclass(frozen=True)
class Shop:
    """A folder with everything."""

    folder: Path
    delivery: DeliverySettings = field(default_factory=DeliverySettings)

    def __post_init__(self) -> None:
        template = self.folder / "templates" / "hello"
        template.mkdir(parents=True)
        (template / "subject.txt.j2").write_text("Hello {{ name }}\n")
        (template / "body.txt.j2").write_text("Dear {{ name }} of {{ city }},\n\nthe news.\n")

    def csv(self, rows: Sequence[str], header: str = "email,name,city") -> str:
        """Write a list; returns its name."""
        (self.folder / "people.csv").write_text("\n".join([header, *rows]) + "\n")
        return "people.csv"

    def people(self, count: int) -> str:
        """Write a list of so many good rows."""
        return self.csv([f"p{row}@x{row % 7}.test,Name {row},City {row}" for row in range(1, count + 1)])

    def json_lines(self, rows: Sequence[dict[str, object]]) -> str:
        (self.folder / "people.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return "people.jsonl"

    def prepared(
        self,
        recipients: str | RecipientSource,
        *,
        new: bool = False,
        test_to: str | None = None,
        token_secret: bytes | None = None,
        template: str = "hello",
        **settings: Any,
    ) -> Prepared:
        def opener(spec: str, base: Path, needed: tuple[str, ...]) -> RecipientSource:
            return open_source(spec, base=base, needed=needed) if isinstance(recipients, str) else recipients

        return prepare(
            CampaignSettings(
                template=template,
                sender="News <news@acme.test>",
                recipients=recipients if isinstance(recipients, str) else "-",
                **settings,
            ),
            SmtpSettings(url="smtp+starttls://relay.test:587"),
            self.delivery,
            base=self.folder,
            attachments=self.folder,
            open_source=opener,
            attach_below=AttachmentFolder,
            ca_pem=None,
            now_ms=1_750_000_000_000,
            new=new,
            test_to=test_to,
            token_secret=token_secret,
        )

    def submission(
        self, ledgers: Ledgers, recipients: str | RecipientSource, key: str | None = None, **changes: Any
    ) -> Submission:
        """`changes` are settings of campaign and queue, options of the sending, and fields of the submission."""
        settings = {name: changes.pop(name) for name in CampaignSettings.__dataclass_fields__ if name in changes}
        options = {name: changes.pop(name) for name in SendOptions.__dataclass_fields__ if name in changes}
        prepared = changes.pop("prepared", None) or self.prepared(recipients, key=key, **settings)
        queue = QueueSettings(
            chunk_size=CHUNK,
            high_water=changes.pop("high_water", 2**30),
            low_water=changes.pop("low_water", 2**29),
        )
        return Submission(ledgers.intake, prepared, queue, SendOptions(**options), **changes)


async def work_off(ledgers: Ledgers, campaign: Campaign) -> None:
    """Send everything that is queued, as a worker would."""
    base = ledgers.keys.base(campaign.id)
    async with hand(ledgers) as worker:
        for chunk in range(int(await ledgers.redis.hget(base + "c", "chunks") or 0)):
            await worker.finish(await worker.claim(campaign, chunk), SENT)


def personal(row: int) -> dict[str, object]:
    """A row whose message looks like no other, so that it takes room in the queue."""
    noise = hashlib.sha256(b"%d" % row).hexdigest() * 3
    return {"email": f"p{row}@x.test", "name": f"Name {row}", "city": noise}

"""A campaign in a folder: a template, a list, and what it takes to submit it."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailer.backends.redis.ledgers import Ledgers
from mailer.backends.sources.opening import open_source
from mailer.flow.preparation import Prepared, prepare
from mailer.flow.submission import Submission
from mailer.interfaces.source import RecipientSource, Row
from mailer.vocabulary.settings import CampaignSettings, DeliverySettings, QueueSettings, SmtpSettings

CHUNK = 10


@dataclass(frozen=True)
class Once:
    """A list that can be read only once, as stdin is."""

    people: Sequence[dict[str, object]]
    name: str = "stdin"
    content_hash: str | None = None
    columns: tuple[str, ...] | None = None

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

    def prepared(self, recipients: str | RecipientSource, **settings: Any) -> Prepared:
        def opener(spec: str, base: Path, needed: tuple[str, ...]) -> RecipientSource:
            return open_source(spec, base=base, needed=needed) if isinstance(recipients, str) else recipients

        return prepare(
            CampaignSettings(
                template="hello",
                sender="News <news@acme.test>",
                recipients=recipients if isinstance(recipients, str) else "-",
                **settings,
            ),
            SmtpSettings(url="smtp+starttls://relay.test:587"),
            self.delivery,
            base=self.folder,
            open_source=opener,
            ca_pem=None,
            now_ms=1_750_000_000_000,
        )

    def submission(
        self, ledgers: Ledgers, recipients: str | RecipientSource, key: str | None = None, **changes: Any
    ) -> Submission:
        queue = QueueSettings(
            chunk_size=CHUNK,
            high_water=changes.pop("high_water", 2**30),
            low_water=changes.pop("low_water", 2**29),
        )
        return Submission(ledgers.intake, self.prepared(recipients, key=key), queue, **changes)


def personal(row: int) -> dict[str, object]:
    """A row whose message looks like no other, so that it takes room in the queue."""
    noise = hashlib.sha256(b"%d" % row).hexdigest() * 3
    return {"email": f"p{row}@x.test", "name": f"Name {row}", "city": noise}

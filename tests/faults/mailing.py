"""A mailing to try faults on: its list, its template, and the producer that submits it."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from mailer.backends.attachment_files import AttachmentFolder
from mailer.backends.redis.ledgers import open_ledgers
from mailer.backends.sources.opening import open_source
from mailer.flow.counts import Submitted
from mailer.flow.preparation import prepare
from mailer.flow.submission import Submission
from mailer.vocabulary.settings import CampaignSettings, DeliverySettings, QueueSettings, SmtpSettings

USER = "sender"
PASSWORD = "canary-smtp-Zq7pT"
"""Must be found nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailing:
    """Everything a producer in another process has to know."""

    folder: str
    queue_url: str
    prefix: str
    port: int
    ca_pem: str
    people: int
    first: int = 0
    """The number of the first of them: nobody is in two campaigns."""
    key: str = "one"
    chunk: int = 5
    connections: int = 2
    pipelining: Literal["auto", "off", "full"] = "auto"
    body_bytes: int = 0
    reply_timeout: float = 5.0
    on_doubt: Literal["hold", "resend"] = "hold"

    def to_dict(self) -> dict[str, Any]:
        """What `Mailing(**...)` takes."""
        return asdict(self)

    @property
    def rows(self) -> int:
        """Rows of the list: one address stands there twice, and one is none."""
        return self.people + 2

    def addresses(self) -> list[str]:
        """Who is accepted, in order of their rows."""
        return [f"p{number}@x{number % 3}.test" for number in range(self.first, self.first + self.people)]

    def write(self) -> None:
        """Put list and template into the folder."""
        folder = Path(self.folder)
        template = folder / "templates" / "note"
        template.mkdir(parents=True, exist_ok=True)
        (template / "subject.txt.j2").write_text("A note to {{ email }}\n")
        (template / "body.txt.j2").write_text("Dear {{ email }},\n\n" + ("more " * 14 + "\n") * (self.body_bytes // 71))
        lines = [f"{address},{address}" for address in self.addresses()]
        lines[len(lines) // 2 : len(lines) // 2] = ["nobody,none", lines[0]]
        (folder / "people.csv").write_text("\n".join(["email,marker", *lines]) + "\n")


async def submit(mailing: Mailing) -> Submitted:
    """Accept the mailing, or find it accepted."""
    prepared = prepare(
        CampaignSettings(
            template="note",
            sender="News <news@acme.test>",
            recipients="people.csv",
            headers={"X-Marker": "{{ marker }}"},
            key=mailing.key,
        ),
        SmtpSettings(
            url=f"smtp+starttls://{USER}@localhost:{mailing.port}",
            max_connections=mailing.connections,
            pipelining=mailing.pipelining,
            connect_timeout=5,
            command_timeout=5,
            reply_timeout=mailing.reply_timeout,
        ),
        DeliverySettings(retry_delays=(0.1, 0.2), max_age=3600, on_doubt=mailing.on_doubt),
        base=Path(mailing.folder),
        attachments=Path(mailing.folder),
        open_source=lambda spec, base, needed: open_source(spec, base=base, needed=needed),
        attach_below=AttachmentFolder,
        ca_pem=mailing.ca_pem,
        now_ms=1_750_000_000_000,
    )
    async with open_ledgers(mailing.queue_url, prefix=mailing.prefix, lease_s=1) as ledgers:
        done = await Submission(ledgers.intake, prepared, QueueSettings(chunk_size=mailing.chunk)).run()
    assert done is not None
    return done

"""The settings of a campaign, its relay, the queue and the delivery: one table each, with meaning, unit and default."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mailer.vocabulary.quantity import Duration, RateSetting, RatesSetting, Size


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignSettings:
    """`[campaign]`: what is sent, from whom, to whom."""

    name: str | None = None
    """Letters, digits and `-`; the first half of the campaign id."""
    template: str | None = None
    """A folder name under `templates/`, a folder, or a single file."""
    sender: str | None = None
    """The From header; its address is the reverse-path unless `envelope_sender` is given."""
    envelope_sender: str | None = None
    """The reverse-path: where the relay sends bounces."""
    recipients: str | None = None
    """A CSV, JSON Lines, xlsx or ods file, `campaign.py:rows`, or `-` for stdin."""
    email_column: str = "email"
    """The column with the address, in any case; `e-mail` and `mail` are found too."""
    to: str | None = None
    """Jinja2 for the To header, for example `{{ name }} <{{ email }}>`; by default the bare address."""
    subject: str | None = None
    """Jinja2 that overrides the template's subject."""
    reply_to: str | None = None
    """The Reply-To header, Jinja2."""
    cc: str | None = None
    """Jinja2 for the Cc header: addresses that get a copy and are seen, separated by commas."""
    bcc: str | None = None
    """Jinja2: addresses that get a copy and are not seen, separated by commas."""
    headers: dict[str, str] = field(default_factory=dict)
    """Extra headers, name to Jinja2 value."""
    attachments: tuple[str, ...] = ()
    """Files below the campaign folder, each path Jinja2 (`invoices/{{ number }}.pdf`); stored once by content."""
    list_id: str | None = None
    """The List-ID header (RFC 2919)."""
    unsubscribe_url: str | None = None
    """An https URL, Jinja2; adds List-Unsubscribe and List-Unsubscribe-Post (RFC 8058)."""
    key: str | None = None
    """The idempotency key: the same key with the same content sends nothing twice. Default: a hash of the content."""
    duplicates: Literal["first", "keep"] = "first"
    """Of several rows with one address, `first` sends the first and `keep` sends every one."""
    inline_css: bool = False
    """Write the style sheets of the HTML part into its elements, after rendering."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpSettings:
    """`[smtp]`: the relay and how its connections are used."""

    url: str | None = None
    """`smtp+starttls://user@host:587`, `smtps://user@host:465` or `smtp+insecure://host:25`; never with a password."""
    provider: str | None = None
    """Instead of `url`: a preset such as `gmail`, `yahoo` or `sendgrid`; loading turns it into a `url`."""
    user: str | None = None
    """The login name that goes with `provider`."""
    ca_file: Path | None = None
    """PEM file of an own certificate authority; by default the system's are trusted."""
    max_connections: int = 5
    """Connections to the relay per worker process."""
    local_hostname: str | None = None
    """The name said in EHLO; by default the host name, without a DNS query."""
    max_messages_per_connection: int = 1000
    """Messages after which a connection is closed with QUIT and replaced."""
    max_connection_age: Duration = 300.0
    """Seconds in use after which a connection is closed with QUIT and replaced."""
    idle_timeout: Duration = 15.0
    """Seconds a connection may wait for its next message before it is closed with QUIT."""
    pipelining: Literal["auto", "off", "full"] = "auto"
    """`auto` sends the envelope in one write where the relay offers PIPELINING (RFC 2920); `off` never does.

    `full` puts the envelope of the next message into the write that ends the one before: one round trip a message.
    """
    connect_timeout: Duration = 30.0
    """Seconds for TCP, the greeting and the TLS handshake, each."""
    command_timeout: Duration = 300.0
    """Seconds for the reply to EHLO, AUTH, MAIL, RCPT and DATA (RFC 5321 section 4.5.3.2)."""
    reply_timeout: Duration = 600.0
    """Seconds for the reply to the final dot (RFC 5321 section 4.5.3.2.6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """`[queue]`: the Redis or Valkey server that holds the ledger."""

    url: str | None = None
    """`redis://`, `rediss://` or `unix://`; without it the embedded server is started or joined."""
    allow_plain: bool = False
    """Accept a remote server without TLS and password (a private network)."""
    data_dir: Path | None = None
    """Folder of the embedded server; default `$XDG_STATE_HOME/mailer`."""
    prefix: str = "mailer"
    """The first part of every key."""
    chunk_size: int = 300
    """Recipients per arq job at most, up to 500; the first ten thousand of a list go in hundreds."""
    lease: Duration = 10.0
    """Seconds of silence after which a worker loses its claims."""
    high_water: Size = 256 * 2**20
    """Bytes queued at which the producer waits."""
    low_water: Size = 192 * 2**20
    """Bytes queued at which it goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """`[delivery]`: pace, retries, and when to stop."""

    rate: RatesSetting = ()
    """Messages in a period over all workers, as `20/s`; of several, the fastest spaces, the others are quotas."""
    domain_rate: dict[str, RateSetting] = field(default_factory=dict)
    """The same for single recipient domains: `"gmail.com" = "5/s"`."""
    priority: int = 0
    """Campaigns with a higher one go first; equal ones share the workers fairly."""
    retry_delays: tuple[Duration, ...] = (300.0, 900.0, 3600.0, 7200.0, 14400.0)
    """Seconds before each further try of a deferred recipient; the last one repeats; ±20 % jitter."""
    max_age: Duration = 172800.0
    """Seconds after which a deferred recipient becomes `failed` (expired), with the last reply."""
    max_attempts: int = 20
    """Tries after which a deferred recipient becomes `failed` (expired)."""
    on_doubt: Literal["hold", "resend"] = "hold"
    """What was on the wire without an answer: `hold` leaves it in doubt, `resend` sends it again, at most twice."""
    pause_after_consecutive_failures: int = 5
    """Policy or content refusals in a row (or more than 20 % of the last 50) that pause the campaign."""
    max_message_size: Size = 25 * 10**6
    """Bytes of a finished message; a larger one is a bad row."""
    max_lateness: Duration = 21600.0
    """Seconds after its time at which a scheduled campaign is paused instead of begun."""
    confirm_above: int = 50
    """Messages above which `mailer send` asks for the number to be typed."""

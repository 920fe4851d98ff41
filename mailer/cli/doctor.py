"""`mailer doctor`: the mail server and the queue server, step by step, and how to mend what is wrong."""

import asyncio
import getpass
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailer.backends import embedded
from mailer.cli.complaints import kind_of, told_in_full
from mailer.cli.opening import Setting, read_setting
from mailer.config.orders import missing_password
from mailer.config.redis_url import redact
from mailer.config.route import route_of
from mailer.config.secrets import smtp_password
from mailer.policy.addressing import AddressError, parse_sender
from mailer.policy.smtp_url import format_smtp_url
from mailer.vocabulary.errors import CHECK_FAILED, UNREACHABLE, MailerError
from mailer.vocabulary.step import Result, Step

if TYPE_CHECKING:
    from mailer.cli.invocation import Invocation
    from mailer.vocabulary.route import Route

_MARKS = {Result.OK: "✓", Result.FAILED: "✗", Result.WARNING: "!", Result.SKIPPED: "–"}
_COLORS = {Result.OK: "\x1b[32m", Result.FAILED: "\x1b[1;31m", Result.WARNING: "\x1b[1;33m", Result.SKIPPED: ""}


@dataclass(slots=True)
class Examination:
    """The steps of one server, told as they come."""

    invocation: "Invocation"
    title: str
    url: str
    origin: str
    steps: list[Step] = field(default_factory=list)
    transcript: list[str] | None = None

    def __post_init__(self) -> None:
        self._say(f"{self.title}  {self.url}  ({self.origin})")

    def tell(self, step: Step) -> None:
        """Keep a step, and show it."""
        self.steps.append(step)
        mark, end = (_COLORS[step.result], "\x1b[0m") if self.invocation.color else ("", "")
        self._say(f"  {mark}{_MARKS[step.result]}{end} {step.name:<16}  {step.detail}".rstrip())
        if step.error is not None:
            told = told_in_full(step.error, kind=kind_of(step.error), color=self.invocation.color)
            lines = [*told.splitlines(), f"  more: mailer explain {step.error.code}"]
            self._say("\n".join(f"    {line}" for line in lines))

    def show_transcript(self, lines: list[str]) -> None:
        """The dialogue, below the steps."""
        self.transcript = lines
        self._say("\n".join(["  dialogue", *(f"    {line}" for line in lines)]))

    def to_dict(self) -> dict[str, Any]:
        """This server in the JSON document."""
        told: dict[str, Any] = {
            "url": self.url,
            "origin": self.origin,
            "steps": [step.to_dict() for step in self.steps],
        }
        return told if self.transcript is None else {**told, "transcript": self.transcript}

    def _say(self, text: str) -> None:
        if not self.invocation.as_json:
            self.invocation.data(text)


def examine(invocation: "Invocation", campaign: Path | None, *, smtp: bool, redis: bool, transcript: bool) -> int:
    """Examine what was asked for, or both. Exit 3 with findings, 4 when a server cannot be reached or logged in to."""
    setting = read_setting(invocation, campaign)
    everything = smtp == redis
    done: dict[str, Examination] = {}
    if smtp or (everything and setting.configuration.smtp.url is not None):
        done["smtp"] = _examine_relay(invocation, setting, transcript=transcript)
    elif everything:
        invocation.say("no mail server is set: smtp.url in mailer.toml, or MAILER_SMTP_URL")
    if redis or everything:
        done["redis"] = _examine_queue(invocation, setting)
    errors = [step.error for one in done.values() for step in one.steps if step.error and step.result is Result.FAILED]
    if invocation.as_json:
        invocation.document(ok=not errors, **{name: one.to_dict() for name, one in done.items()})
    if any(error.exit_code == UNREACHABLE for error in errors):
        return UNREACHABLE
    return CHECK_FAILED if errors else 0


def _examine_relay(invocation: "Invocation", setting: Setting, *, transcript: bool) -> Examination:
    from mailer.backends.smtp.ladder import Ladder

    smtp = setting.configuration.smtp
    route = route_of(smtp)
    password = _password(setting, route)
    examination = Examination(
        invocation, "mail server", format_smtp_url(route), setting.configuration.origin["smtp.url"]
    )

    async def climb() -> None:
        ladder = Ladder(route, password, smtp, tell=examination.tell)
        await ladder.climb(_sender(setting, route))
        if transcript:
            examination.show_transcript(ladder.transcript)

    asyncio.run(climb())
    return examination


def _password(setting: Setting, route: "Route") -> str | None:
    """The password of the route; asked for on a terminal, without echo, where it is nowhere else."""
    if route.user is None:
        return None
    known = smtp_password(setting.environ)
    if known is not None:
        return known
    if not sys.stdin.isatty():
        raise missing_password(route.user)
    return getpass.getpass(f"Password of {route.user} at {route.relay}: ", stream=sys.stderr)


def _sender(setting: Setting, route: "Route") -> str | None:
    """Who stands in MAIL: the campaign's reverse-path, or the login where it is an address."""
    campaign = setting.configuration.campaign
    for text in (campaign.envelope_sender, campaign.sender, route.user):
        try:
            if text:
                return parse_sender(text)[1].addr_spec
        except AddressError:
            continue
    return None


def _examine_queue(invocation: "Invocation", setting: Setting) -> Examination:
    from mailer.backends.redis.examination import examine_server

    url = setting.configuration.queue.url
    if url is None:
        status = embedded.status(setting.data_dir)
        url = status.url if status else None
        examination = Examination(invocation, "queue server", url or str(setting.data_dir), "embedded")
        if url is None:
            examination.tell(
                Step(name="reachable", detail="not running: a command that needs it starts it", skipped=True)
            )
            return examination
    else:
        examination = Examination(invocation, "queue server", redact(url), setting.configuration.origin["queue.url"])
    try:
        asyncio.run(examine_server(url, shown=redact(url), tell=examination.tell))
    except MailerError as error:
        examination.tell(Step(name="reachable", error=error))
    return examination

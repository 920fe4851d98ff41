"""aiosmtplib's client, which keeps a transcript of everything that is said, without the secrets."""

import base64
from typing import Any

import aiosmtplib

from mailer.backends.smtp.connecting import Client
from mailer.vocabulary.reply import sanitise

HIDDEN = "***"


class RecordingClient(Client):
    """A client whose `transcript` has a line for every line of the dialogue: `C:` is what we said, `S:` the server.

    What follows the mechanism of AUTH is hidden, and so is the password wherever a server repeats it.
    """

    def __init__(self, *, password: str | None, **options: Any) -> None:
        super().__init__(**options)
        self.transcript: list[str] = []
        self._logging_in = False
        self._secrets = _forms_of(password)

    async def connect(self, **options: Any) -> aiosmtplib.SMTPResponse:
        """Connect, and keep the greeting."""
        try:
            greeting = await super().connect(**options)
        except aiosmtplib.SMTPResponseException as error:
            self._hear(aiosmtplib.SMTPResponse(error.code, error.message))
            raise
        self._hear(greeting)
        return greeting

    async def execute_command(self, *words: bytes, **options: Any) -> aiosmtplib.SMTPResponse:
        """Say a command, and keep it with its reply."""
        self._logging_in = self._logging_in or words[:1] == (b"AUTH",)
        self._say(*words)
        reply = await super().execute_command(*words, **options)
        self._hear(reply)
        self._logging_in = self._logging_in and reply.code == 334
        return reply

    async def starttls(self, **options: Any) -> aiosmtplib.SMTPResponse:
        """Begin TLS, and keep the reply."""
        if self.supports_extension("starttls"):
            self._say(b"STARTTLS")
        reply = await super().starttls(**options)
        self._hear(reply)
        return reply

    def _say(self, *words: bytes) -> None:
        shown = [word.decode("utf-8", "replace") for word in words]
        if self._logging_in:
            # `AUTH PLAIN initial-response`, or a line of its own that answers a 334.
            kept = 2 if words[:1] == (b"AUTH",) else 0
            shown = [*shown[:kept], *[HIDDEN] * (len(shown) > kept)]
        self._keep(f"C: {' '.join(shown)}")

    def _hear(self, reply: aiosmtplib.SMTPResponse) -> None:
        for line in reply.message.split("\n"):
            self._keep(f"S: {reply.code} {sanitise(line)}".rstrip())

    def _keep(self, line: str) -> None:
        self.transcript.append(self.masked(line))

    def masked(self, text: str) -> str:
        """The text without the password, which a server may well repeat."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text


def _forms_of(password: str | None) -> list[str]:
    if not password:
        return []
    return [password, base64.b64encode(password.encode()).decode()]

"""aiosmtplib's client, which tells everything that is said, without the secrets."""

from typing import Any

import aiosmtplib

from mailer.backends.smtp.client import Client
from mailer.backends.smtp.transcript import HIDDEN, Transcript


class RecordingClient(Client):
    """A client that tells its transcript every line of the dialogue; what follows the mechanism of AUTH is hidden."""

    def __init__(self, *, transcript: Transcript, **options: Any) -> None:
        super().__init__(**options)
        self._transcript = transcript
        self._logging_in = False

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
        if self._logging_in:
            # `AUTH PLAIN initial-response`, or a line of its own that answers a 334.
            kept = 2 if words[:1] == (b"AUTH",) else 0
            words = (*words[:kept], *[HIDDEN.encode()] * (len(words) > kept))
        self._transcript.said(b" ".join(words))

    def _hear(self, reply: aiosmtplib.SMTPResponse) -> None:
        self._transcript.heard(reply.code, reply.message.split("\n"))

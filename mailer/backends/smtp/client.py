"""aiosmtplib's client, which hangs up at once."""

from typing import TYPE_CHECKING, cast

import aiosmtplib

if TYPE_CHECKING:
    import asyncio


class Client(aiosmtplib.SMTP):
    """Connects, protects and logs in; the dialogue after that is `Conversation`'s."""

    def hand_over(self) -> "asyncio.Transport":
        """Its transport, which is somebody else's from now on. Raises `aiosmtplib.SMTPServerDisconnected`.

        Client and protocol know each other: with the transport, half a megabyte a connection would wait for the garbage
        collector.
        """
        transport, self.transport, self.protocol = self.transport, None, None
        if transport is None:
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        return cast("asyncio.Transport", transport)

    def close(self) -> None:
        """Hang up without a word."""
        # Closing TLS politely waits 30 s for a relay that no longer answers.
        if self.transport is not None:
            cast("asyncio.Transport", self.transport).abort()
        super().close()

"""The capture server: takes mail on this computer over STARTTLS, keeps it to be looked at, delivers nothing."""

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mailer.capture.mailbox import Captured, Mailbox
from mailer.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from mailer.capture.dialogue import Dialogue

NAMES = ("localhost", "127.0.0.1", "::1")
"""What the server's certificate is for."""


class CaptureServer:
    """An SMTP server in the running event loop, from `async with` to its end; `mailbox` outlives it.

    `folder` holds its certificate authority; `ca_file` there is what clients trust. `port` is the one asked for, or a
    free one when that is taken (unless `fixed_port`) or 0; it is known once the server runs. `on_message` is called
    after each message that was taken, in the loop; what it raises goes to the loop's exception handler.
    """

    def __init__(
        self,
        folder: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 1025,
        fixed_port: bool = False,
        mailbox: Mailbox | None = None,
        on_message: Callable[[Captured], None] | None = None,
    ) -> None:
        self.folder = folder
        self.host = host
        self.port = port
        self.ca_file = folder / "ca.pem"
        self.mailbox = Mailbox() if mailbox is None else mailbox
        self._fixed_port = fixed_port
        self._on_message = on_message
        self._connections: set[Dialogue] = set()

    @property
    def url(self) -> str:
        """The SMTP URL for clients: STARTTLS, by the name in the certificate."""
        return f"smtp+starttls://localhost:{self.port}"

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            UsageError: E120 when aiosmtpd or trustme is not installed, E121 when the port cannot be had, E122 when the
                folder cannot be written to.
        """
        try:
            from mailer.capture.authority import Authority
            from mailer.capture.dialogue import Desk, Dialogue

            context = Authority(self.folder).server_context(*NAMES)
        except ModuleNotFoundError as error:
            raise UsageError(
                "E120",
                f"the capture server needs {error.name}, which is not installed",
                hint="pip install '.[demo]'",
            ) from error
        except OSError as error:
            raise UsageError(
                "E122",
                f"the capture server cannot keep its certificates in {self.folder}",
                why=str(error),
                hint="MAILER_DATA_DIR=~/.local/state/mailer, or another folder of your own",
            ) from error
        desk = Desk(self._take)
        self._server = await self._listen(lambda: Dialogue(desk, context, self._connections))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and cut the connections there are."""
        self._server.close()
        over = [connection.is_over for connection in self._connections]
        for connection in list(self._connections):
            connection.cut()
        await asyncio.gather(*over)
        await self._server.wait_closed()

    async def _listen(self, connect: "Callable[[], Dialogue]") -> asyncio.Server:
        loop = asyncio.get_running_loop()
        try:
            return await loop.create_server(connect, self.host, self.port)
        except OSError as error:
            if self._fixed_port or error.errno != errno.EADDRINUSE:
                raise UsageError(
                    "E121",
                    f"the capture server cannot listen on {self.host}:{self.port}",
                    why=error.strerror or str(error),
                    hint="--port 0 takes a free one",
                ) from error
        return await loop.create_server(connect, self.host, 0)

    def _take(self, message: Captured) -> None:
        self.mailbox.add(message)
        if self._on_message is not None:
            # Not from here: whatever goes wrong there is no reply to the client.
            asyncio.get_running_loop().call_soon(self._on_message, message)

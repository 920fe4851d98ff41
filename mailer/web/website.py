"""The web server of a local page: on this computer alone, in the running event loop."""

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from mailer.vocabulary.errors import UsageError
from mailer.web.pulse import Pulse

HOST = "127.0.0.1"
TRIES = 100
"""Ports that are tried, from the one asked for upwards."""
GRACE_S = 1
MOST_AT_ONCE = 200
"""Connections; the next one gets a 503."""


class _Server(uvicorn.Server):
    """Leaves the signals to the command."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Website:
    """Serves an application on 127.0.0.1 from `async with` to its end, and ends its pulse then.

    `port` is the one asked for, or the next free one; 0 takes any. `url` is known once the server runs.
    """

    def __init__(self, app: ASGIApp, pulse: Pulse, *, port: int = 0) -> None:
        self.port = port
        self._pulse = pulse
        self._server = _Server(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=MOST_AT_ONCE,
                timeout_graceful_shutdown=GRACE_S,
            )
        )

    @property
    def url(self) -> str:
        """Where to look."""
        return f"http://{HOST}:{self.port}"

    async def __aenter__(self) -> Self:
        """Listen. Raises `UsageError` E121 when no port can be had."""
        listener = _listen(self.port)
        self.port = listener.getsockname()[1]
        self._serving = asyncio.create_task(self._server.serve([listener]))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all connections."""
        self._pulse.close()
        self._server.should_exit = True
        await self._serving


def _listen(port: int) -> socket.socket:
    for number in range(port, min(port + TRIES, 2**16)):
        listener = socket.socket()
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((HOST, number))
            listener.listen(128)
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE:
                raise UsageError(
                    "E121",
                    f"the page cannot be served on {HOST}:{number}",
                    why=error.strerror or str(error),
                    hint="--web 0 takes a free port",
                ) from error
        else:
            return listener
    raise UsageError(
        "E121", f"the page cannot be served: {HOST}:{port} and the ports after it are taken", hint="--web 0"
    )

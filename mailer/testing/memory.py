"""Mailers in memory, with everything that the real ones have."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

from mailer.api.async_mailer import NO_SETTINGS, AsyncMailer
from mailer.api.mailer import Mailer
from mailer.testing.desk import MemoryDesk
from mailer.testing.post import Post

if TYPE_CHECKING:
    from mailer.testing.messages import Outbox
    from mailer.testing.post import RefusedAfter


class _InMemory:
    """What both have besides: the messages, and a say in what becomes of them."""

    post: Post

    @property
    def outbox(self) -> "Outbox":
        """The messages that were taken, oldest first, as `email.message.EmailMessage`."""
        return self.post.outbox

    def refuse(
        self, address: str, code: int = 550, text: str = "5.1.1 unknown user", *, after: "RefusedAfter" = "rcpt"
    ) -> None:
        """From now on this address ends as `refused`: at RCPT, or with `after="dot"` after the message.

        Any 5xx. Raises `UsageError` E101 for another code or `after`.
        """
        self.post.refuse(address, code, text, after=after)

    def defer(
        self, address: str, code: int = 451, text: str = "4.3.0 try again later", *, for_ever: bool = False
    ) -> None:
        """From now on this address is `deferred` once, and then taken; or every time, until it has `failed`.

        Any 4xx. Raises `UsageError` E101 for another code.
        """
        self.post.defer(address, code, text, for_ever=for_ever)

    def drop(self, address: str) -> None:
        """From now on this address ends as `in_doubt`: its message is taken, and never answered."""
        self.post.drop(address)

    def suppress(self, address: str) -> None:
        """Put an address on the do-not-send list."""
        self.post.suppress(address)


class MemoryMailer(_InMemory, Mailer):
    """`Mailer`, in memory: templates, lists, errors, delivery and reports are the real ones, the rest is not there.

    Nothing waits: what is deferred, scheduled or limited by a rate goes on at once, as if it were later. Settings come
    from the environment and the configuration files, as for `Mailer.from_env`. Of `post` several may have the same.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        env_file: str | Path | None = None,
        settings: Mapping[str, object] = NO_SETTINGS,
        post: Post | None = None,
    ) -> None:
        self.post = post or Post()
        super().__init__(MemoryDesk(self.post, path, dict(os.environ), env_file, settings))

    @classmethod
    def from_env(
        cls,
        path: str | Path | None = None,
        *,
        env_file: str | Path | None = None,
        settings: Mapping[str, object] = NO_SETTINGS,
    ) -> Self:
        """The same as making one."""
        return cls(path, env_file=env_file, settings=settings)


class AsyncMemoryMailer(_InMemory, AsyncMailer):
    """`AsyncMailer`, in memory. As `MemoryMailer`."""

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        env_file: str | Path | None = None,
        settings: Mapping[str, object] = NO_SETTINGS,
        post: Post | None = None,
    ) -> None:
        self.post = post or Post()
        super().__init__(MemoryDesk(self.post, path, dict(os.environ), env_file, settings))

    @classmethod
    def from_env(
        cls,
        path: str | Path | None = None,
        *,
        env_file: str | Path | None = None,
        settings: Mapping[str, object] = NO_SETTINGS,
    ) -> Self:
        """The same as making one."""
        return cls(path, env_file=env_file, settings=settings)

"""The dialogue with a relay, line by line as it happens, without the secrets."""

import base64
from collections.abc import Callable, Iterable

from mailer.vocabulary.reply import sanitise

HIDDEN = "***"

Keep = Callable[[str], None]
"""Takes one line of the dialogue: `C: …` is what we said, `S: …` the server, `-- …` what happened besides."""


class Transcript:
    """Hands over a line for every line of one connection's dialogue, in order.

    `label` stands before each of them, where several connections talk at once. What follows the mechanism of AUTH never
    gets here; the password is hidden wherever a server repeats it, in clear text or as a login encodes it.
    """

    def __init__(self, keep: Keep, *, user: str | None = None, password: str | None = None, label: str = "") -> None:
        self._keep = keep
        self._label = label
        self._secrets = _forms_of(user, password)

    def said(self, commands: bytes) -> None:
        """What we say: one command, or a group that goes out in one write (RFC 2920)."""
        for line in commands.decode("utf-8", "replace").removesuffix("\r\n").split("\r\n"):
            self._line("C:", line)

    def said_message(self, size: int) -> None:
        """We send a message of so many bytes; its text belongs to the recipient and not on a screen."""
        self._line("C:", f"<{size:,} bytes>".replace(",", " "))

    def heard(self, code: int, texts: Iterable[str]) -> None:
        """A reply, with the text of each of its lines."""
        for text in texts:
            self._line(f"S: {code}", text)

    def noted(self, event: str) -> None:
        """What nobody said: TLS begins, the connection is lost."""
        self._line("--", event)

    def masked(self, text: str) -> str:
        """The text without the secrets."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def _line(self, whose: str, text: str) -> None:
        # Masked before it is shortened: half a password would be found by nobody.
        self._keep(f"{self._label}{whose} {sanitise(self.masked(text))}".rstrip())


def _forms_of(user: str | None, password: str | None) -> list[str]:
    """The password as it may come back: as it is, and as LOGIN and PLAIN encode it (RFC 4616)."""
    if not password:
        return []
    plain = f"\0{user or ''}\0{password}"
    return [base64.b64encode(plain.encode()).decode(), base64.b64encode(password.encode()).decode(), password]

"""What a scripted relay can be told to do wrong."""

from dataclasses import dataclass

ANY_TIME = 10**9


@dataclass
class Misbehaviour:
    """Instead of the usual reply: another one, and perhaps the end. No reply at all (None) is to hang."""

    at: str
    reply: bytes | None
    closes: bool = False
    when: str = ""
    times: int = ANY_TIME


class Script:
    """The misbehaviours asked of a relay, first come, first served; each of them by its name."""

    def __init__(self) -> None:
        self.answers_354_regardless = False
        self.strips_starttls = False
        self.injects_after_starttls = b""
        self.stops_reading_the_body = False
        self._misbehaviours: list[Misbehaviour] = []

    def told(self, at: str, argument: str) -> Misbehaviour | None:
        """What to do instead of the usual, this time."""
        for told in self._misbehaviours:
            if told.at == at and told.when in argument and told.times > 0:
                told.times -= 1
                return told
        return None

    def answers(self, at: str, reply: bytes, *, when: str = "", times: int = ANY_TIME) -> None:
        """Say this, verbatim, to a command (whose argument holds `when`)."""
        self._misbehaviours.append(Misbehaviour(at, reply, when=when, times=times))

    def refuses_recipient(self, address: str, reply: bytes = b"550 5.1.1 no such user\r\n") -> None:
        self.answers("RCPT", reply, when=f"<{address}>")

    def refuses_every_recipient(self, reply: bytes = b"550 5.1.1 no such user\r\n") -> None:
        self.answers("RCPT", reply)

    def refuses_sender(self, reply: bytes = b"550 5.1.8 bad sender\r\n") -> None:
        self.answers("MAIL", reply)

    def refuses_message(self, reply: bytes = b"554 5.7.1 smells of spam\r\n", times: int = ANY_TIME) -> None:
        self.answers("DOT", reply, times=times)

    def refuses_content(self, marker: bytes, reply: bytes = b"554 5.7.1 smells of spam\r\n") -> None:
        """Refuse at the dot what holds the marker."""
        self.answers("DOT", reply, when=marker.decode())

    def says_421_at(self, at: str, times: int = ANY_TIME) -> None:
        self._misbehaviours.append(Misbehaviour(at, b"421 4.3.2 closing\r\n", closes=True, times=times))

    def drops_at(self, at: str, reply: bytes = b"", times: int = ANY_TIME) -> None:
        """Close instead of answering (or behind `reply`). At `DOT` the message may well have been taken."""
        self._misbehaviours.append(Misbehaviour(at, reply, closes=True, times=times))

    def hangs_at(self, at: str) -> None:
        self._misbehaviours.append(Misbehaviour(at, None))

    def hangs_on_rset(self) -> None:
        self.hangs_at("RSET")

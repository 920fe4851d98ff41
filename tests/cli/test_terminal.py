"""On a terminal `send` asks first; where nobody wants escape sequences, there is not one."""

import codecs
import os
import pty
import re
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.desk import Desk
from tests.cli.running import Running, needs_proc
from tests.relays.scripted import ScriptedRelay
from tests.thorough import first


class Terminal:
    """A command on a pseudo terminal, with somebody in front of it."""

    def __init__(self, desk: Desk, *words: str, **environ: str) -> None:
        self.said = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._screen, end = pty.openpty()
        name = Path(os.ttyname(end))
        environ = desk.environ | {"TERM": "xterm-256color", "COLUMNS": "100"} | environ
        self.running = Running(desk.warm.fork(words, desk.folder, environ, name, name, name), words, name, name)
        # It has opened the terminal for itself before it says a word.
        self._end: int | None = end

    def see(self, words: str, *, within: float = 15.0) -> None:
        """Read until these words have appeared."""
        deadline = time.monotonic() + within
        while words not in self.said:
            assert self._read(deadline), f"{words!r} did not appear:\n{self.said}"

    def answer(self, text: str) -> None:
        os.write(self._screen, f"{text}\n".encode())

    def leave(self, *, within: float = 15.0) -> int:
        """Read to the end; the exit code."""
        deadline = time.monotonic() + within
        while self._read(deadline):
            pass
        return self.running.wait()

    def close(self) -> None:
        self.running.kill()
        self._let_go()
        os.close(self._screen)

    def _let_go(self) -> None:
        if self._end is not None:
            os.close(self._end)
            self._end = None

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._screen], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"silent for too long:\n{self.said}"
        try:
            text = os.read(self._screen, 65536)
        except OSError:  # Linux: the other end is closed
            return False
        self.said += self._decoder.decode(text)
        self._let_go()
        return bool(text)


Open = Callable[..., Terminal]


@pytest.fixture
def terminal(desk: Desk) -> Iterator[Open]:
    """Start a command on a terminal; it is closed at the end of the test."""
    with ExitStack() as stack:

        def start(*words: str, **environ: str) -> Terminal:
            opened = Terminal(desk, *words, **environ)
            stack.callback(opened.close)
            return opened

        yield start


def test_it_shows_what_it_is_about_to_do_and_a_yes_sends(desk: Desk, terminal: Open) -> None:
    desk.campaign("ann", "bob", "ann", "two@@signs.example")
    send = terminal("send")
    send.see("Send them? [y/N] ")
    assert f"2 messages from News <news@{desk.domain}>" in send.said
    assert f"through {desk.relay.url}" in send.said
    assert "1 invalid, 1 duplicate" in send.said
    assert desk.arrived == {}
    send.answer("y")
    assert send.leave() == 0
    assert "Delivery report" in send.said
    assert desk.arrived == {"ann": 1, "bob": 1}

    # What is known already is not asked about again.
    again = terminal("send")
    assert again.leave() == 0
    assert "Send them?" not in again.said


@pytest.mark.parametrize("answer", first(1, ["", "2"]))
def test_any_other_answer_sends_nothing_and_leaves_no_campaign(desk: Desk, terminal: Open, answer: str) -> None:
    desk.campaign("ann", "bob")
    send = terminal("send")
    send.see("Send them? [y/N] ")
    send.answer(answer)
    assert send.leave() == 0
    assert "Nothing was sent." in send.said
    assert desk.ids() == []
    assert desk.arrived == {}


@pytest.mark.thorough
def test_above_the_limit_the_number_has_to_be_typed(desk: Desk, terminal: Open) -> None:
    desk.campaign("ann", "bob", more="[delivery]\nconfirm_above = 1\n")
    send = terminal("send")
    send.see("Type 2 to send them: ")
    send.answer("y")
    assert send.leave() == 0
    assert desk.ids() == []
    send = terminal("send")
    send.see("Type 2 to send them: ")
    send.answer("2")
    assert send.leave() == 0
    assert desk.arrived == {"ann": 1, "bob": 1}


@pytest.mark.thorough
@needs_proc
def test_ctrl_c_at_the_question_is_a_no(desk: Desk, terminal: Open) -> None:
    desk.campaign("ann")
    send = terminal("send")
    send.see("Send them? [y/N] ")
    desk.until(lambda: send.running.is_asleep)
    send.running.signal(signal.SIGINT)
    assert send.leave() == 130, send.said
    assert "Nothing was sent." in send.said
    assert desk.ids() == []


@pytest.mark.thorough
def test_a_password_is_asked_for_without_an_echo(
    desk: Desk, terminal: Open, scripted: Callable[..., ScriptedRelay]
) -> None:
    desk.campaign("ann")
    relay = scripted(desk, ScriptedRelay(logins={"news": "Kanarienvogel"}), user="news")
    send = terminal("send", "--yes")
    send.see(f"Password of news at 127.0.0.1:{relay.port}: ")
    send.answer("Kanarienvogel")
    assert send.leave() == 0
    assert "Kanarienvogel" not in send.said
    assert len(relay.deliveries) == 1


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("words", "environ"),
    first(
        2,
        [
            (("send", "--yes"), {"NO_COLOR": "1"}),
            (("send", "--yes"), {"TERM": "dumb"}),
            (("send", "--yes", "--no-color"), {}),
            (("status",), {"NO_COLOR": "1"}),
            (("--help",), {"NO_COLOR": "1"}),
            (("send", "--bogus"), {"TERM": "dumb"}),
        ],
    ),
)
def test_where_it_is_unwanted_there_is_no_escape_byte(
    desk: Desk, terminal: Open, words: tuple[str, ...], environ: dict[str, str]
) -> None:
    desk.campaign("ann", "bounce+550")
    shown = terminal(*words, **environ)
    shown.leave()
    assert shown.said
    assert "\x1b" not in shown.said


def test_a_terminal_gets_a_bar_and_colours(desk: Desk, terminal: Open) -> None:
    desk.campaign("ann", "bounce+550")
    send = terminal("send", "--yes")
    assert send.leave() == 1
    assert "\x1b[" in send.said
    assert "━" in send.said
    assert "2/2" in send.said


@pytest.mark.thorough
def test_colour_can_be_had_in_a_pipe(desk: Desk) -> None:
    desk.campaign("ann")
    desk.run("send", "--yes")
    colored = desk.end(desk.start("report", environ={"FORCE_COLOR": "1"}), may_color=True)
    assert "\x1b[" in colored.out
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored.out).startswith("  Delivery report")
    # `run` holds against escape bytes: NO_COLOR is the stronger word.
    assert desk.run("report", environ={"FORCE_COLOR": "1", "NO_COLOR": "1"}).out.startswith("  Delivery report")

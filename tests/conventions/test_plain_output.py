"""Where escape sequences are unwanted there is not one, whatever the command."""

import pytest

from tests.cli.desk import Desk
from tests.cli.test_terminal import Terminal
from tests.conventions import tour


@pytest.mark.thorough
@pytest.mark.parametrize("unwanted", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=["NO_COLOR", "TERM=dumb"])
def test_no_command_writes_an_escape_byte_to_such_a_terminal(own_desk: Desk, unwanted: dict[str, str]) -> None:
    tour.prepare(own_desk)
    for stop in tour.STOPS:
        terminal = Terminal(own_desk, *tour.words(stop, own_desk), **unwanted)
        try:
            terminal.leave()
        finally:
            terminal.close()
        assert "\x1b" not in terminal.said, (stop, terminal.said)


@pytest.mark.thorough
def test_no_command_writes_an_escape_byte_into_a_pipe(desk: Desk) -> None:
    """Although the terminal that it was started from has colours. (`Desk` holds every command of every test to it.)"""
    desk.campaign(*tour.PEOPLE, more=tour.SETTINGS)
    for words in ("config show --origin", "check", "doctor", "send --yes", "status", "report", "explain E401"):
        done = desk.run(*words.split(), environ={"TERM": "xterm-256color"})
        assert "\x1b" not in done.out + done.err, words


@pytest.mark.thorough
def test_the_demo_keeps_to_it_too(own_desk: Desk) -> None:
    demo = Terminal(own_desk, "demo", "--messages", "100", "--no-web", NO_COLOR="1")
    try:
        assert demo.leave(within=60) == 0
    finally:
        demo.close()
    assert "Delivery report" in demo.said
    assert "\x1b" not in demo.said

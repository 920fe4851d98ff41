"""The seven exit codes, a table: what a script may rely on."""

import signal
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.cli.desk import EXIT_CODES, Desk
from tests.thorough import chosen


@dataclass(frozen=True)
class Case:
    """A command line, what was there before it, and how it ends."""

    code: int
    words: str
    before: Callable[[Desk], object]
    says: str = ""


def people(*names: str, more: str = "") -> Callable[[Desk], None]:
    return lambda desk: desk.campaign(*names, more=more)


def sent(*names: str, more: str = "") -> Callable[[Desk], None]:
    """A campaign to these people, as far as it goes."""

    def prepare(desk: Desk) -> None:
        desk.campaign(*names, more=more)
        desk.run("send", "--yes", "--wait", "1s" if "defer+451" in names else "1m")

    return prepare


def stored(*names: str) -> Callable[[Desk], None]:
    """A campaign to these people that waits for a worker."""

    def prepare(desk: Desk) -> None:
        desk.campaign(*names)
        desk.run("send", "--yes", "--detach")

    return prepare


def suppressed(desk: Desk) -> None:
    desk.campaign("ann")
    desk.run("suppress", "add", desk.address("ann"), "--reason", "asked")


def without_a_column(desk: Desk) -> None:
    desk.campaign(recipients_csv="email\nann@example.com\n")


def nothing_listens(desk: Desk) -> None:
    desk.campaign("ann")
    desk.environ["MAILER_SMTP_URL"] = "smtp+starttls://127.0.0.1:9"


def an_unknown_authority(desk: Desk) -> None:
    desk.campaign("ann")
    del desk.environ["MAILER_SMTP_CA_FILE"]


def no_redis(desk: Desk) -> None:
    desk.campaign("ann")
    desk.environ["MAILER_REDIS_URL"] = "redis://127.0.0.1:9/0"


def paused(desk: Desk) -> None:
    desk.campaign("ann")
    desk.run("send", "--yes", "--detach")
    assert desk.run("pause", *desk.ids(), "--reason", "wrong price").code == 0


CASES = {
    "everybody was sent to": Case(0, "send --yes", people("ann", "bob")),
    "rows left out are no failure": Case(0, "send --yes", people("ann", "ann", "two@@signs.example")),
    "whoever is on the do-not-send list is no failure": Case(0, "send --yes", suppressed),
    "stored is done": Case(0, "send --yes --detach", people("ann", "bounce+550")),
    "nothing is due": Case(0, "worker --burst", people("ann")),
    "a burst, whatever the outcomes were": Case(0, "worker --burst", stored("ann", "bounce+550")),
    "a report is a report": Case(0, "report", sent("bounce+550")),
    "somebody was refused": Case(1, "send --yes", people("ann", "bounce+550")),
    "somebody is in doubt": Case(1, "send --yes", people("ann", "drop")),
    "somebody has failed": Case(1, "send --yes", people("ann", "defer+451", more="[delivery]\nmax_attempts = 1\n")),
    "a report that was asked": Case(1, "report --exit-code", sent("bounce+550")),
    "an unknown flag": Case(2, "send --yess", people("ann"), "--yess"),
    "an unknown key": Case(2, "send --yes", people("ann", more="[smtp]\nulr = 'x'\n"), "did you mean url?"),
    "nobody there to be asked": Case(2, "send", people("ann"), "--yes"),
    "a password in a url": Case(2, "send --yes --smtp-url smtps://a:b@localhost", people("ann"), "E103"),
    "no such campaign": Case(2, "report nobody-1234", people("ann"), "E109"),
    "a bad row": Case(3, "send --yes", without_a_column, "first_name"),
    "a check": Case(3, "check", people("two@@signs.example"), "E211"),
    "no worker is alive": Case(3, "worker --check", people("ann")),
    "nothing listens": Case(4, "send --yes", nothing_listens, "E431"),
    "a certificate nobody knows": Case(4, "send --yes", an_unknown_authority, "E422"),
    "no queue server": Case(4, "send --yes", no_redis, "E501"),
    "the wait is over": Case(5, "send --yes --wait 1s", people("defer+451"), "mailer"),
    "paused by the operator": Case(5, "send --yes", paused, "wrong price"),
    "a report of an unfinished campaign": Case(5, "report --exit-code", sent("defer+451")),
}
QUICK = (
    "everybody was sent to",
    "somebody was refused",
    "a report that was asked",
    "an unknown flag",
    "no such campaign",
    "a bad row",
    "no queue server",
    "paused by the operator",
)
"""Every code: what the quick set has as well."""


@pytest.mark.parametrize("name", chosen(CASES, *QUICK))
def test_a_command_ends_with_the_code_that_is_promised(desk: Desk, name: str) -> None:
    """And an error names what is wrong; `Desk.run` holds every command to the seven codes besides."""
    case = CASES[name]
    case.before(desk)
    done = desk.run(*case.words.split())
    assert (name, done.code) == (name, case.code), done
    assert case.says in done.out + done.err


@pytest.mark.thorough
def test_ctrl_c_is_130(desk: Desk) -> None:
    """And says how to go on."""
    desk.campaign("slow+2s")
    send = desk.start("send", "--yes")
    desk.until(lambda: desk.ids() and desk.status().totals.sending)
    done = desk.interrupt(send, signal.SIGINT)
    assert done.code == 130
    assert desk.name in done.err


def test_the_table_has_every_code() -> None:
    assert {case.code for case in CASES.values()} | {130} == EXIT_CODES

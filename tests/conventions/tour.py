"""A walk past every command, in an order in which each of them has something to do."""

from collections.abc import Iterator

import typer

from mailer.cli import app as _filled  # noqa: F401 (fills the table of commands)
from mailer.cli.registry import app
from tests.cli.desk import Desk

PEOPLE = ("ann", "bounce+550", "two@@signs.example", "ann", "defer+451", "drop", "bob")
SETTINGS = "[delivery]\nmax_attempts = 1\n"
"""What is deferred has failed at once, and the campaign comes to its end."""
STOPS = (
    "init fresh",
    "config show --origin",
    "check",
    "preview --print --row 1",
    "send --dry-run",
    "doctor --transcript",
    "send --yes --detach",
    "status",
    "pause ID --reason later",
    "resume ID",
    "worker --burst",
    "worker --check",
    "report ID",
    "report ID --refused",
    "watch ID",
    "status ID --verify",
    "resolve ID drop@DOMAIN --as sent",
    "suppress add kim@DOMAIN --reason asked",
    "suppress why kim@DOMAIN",
    "suppress list",
    "suppress export -o out.csv",
    "suppress import out.csv",
    "suppress remove kim@DOMAIN",
    "retry ID --state failed --yes",
    "cancel ID --reason enough",
    "send --test-to me@DOMAIN --limit 1 --transcript --yes",
    "explain E401",
    "dev certs --out certs --host mailpit",
    "completion bash",
    "man",
    "queue status",
    "queue stop",
    "queue start",
)
LAST_LONGER = {"demo", "capture"}
"""Commands with a life of their own: they are in tests of their own."""


def commands() -> set[str]:
    """Every command there is, `queue start` among them."""

    def below(group: typer.Typer, name: str) -> Iterator[str]:
        for command in group.registered_commands:
            assert command.callback is not None
            yield f"{name}{command.name or command.callback.__name__}"
        for inner in group.registered_groups:
            assert inner.typer_instance is not None
            yield from below(inner.typer_instance, f"{name}{inner.name} ")

    return set(below(app, ""))


def prepare(desk: Desk) -> None:
    """What the tour needs: a campaign with every kind of recipient."""
    desk.campaign(*PEOPLE, more=SETTINGS)


def words(stop: str, desk: Desk) -> tuple[str, ...]:
    """The command line of one stop."""
    told = stop.replace("DOMAIN", desk.domain)
    if "ID" in told.split():
        told = told.replace("ID", next(name for name in desk.ids() if not name.startswith(f"{desk.name}-test")))
    return tuple(told.split())

"""Data goes to stdout and everything else to stderr; with `--json` that is one document, whatever the command."""

import json

import pytest

from tests.cli.desk import Desk
from tests.conventions import tour


def test_the_tour_leads_past_every_command() -> None:
    """A new command belongs into it."""
    assert {
        command for command in tour.commands() if not any(f"{stop} ".startswith(f"{command} ") for stop in tour.STOPS)
    } == tour.LAST_LONGER


@pytest.mark.thorough
def test_every_command_answers_a_script_with_one_document(own_desk: Desk) -> None:
    """One line on stdout with the version of its schema, and nothing on stderr."""
    tour.prepare(own_desk)
    for stop in tour.STOPS:
        done = own_desk.run(*tour.words(stop, own_desk), "--json")
        for line in done.out.splitlines():
            document = json.loads(line)
            assert isinstance(document, dict), stop
        if "--refused" not in stop:  # recipients come one a line, as with --format jsonl
            assert len(done.out.splitlines()) == 1, (stop, done)
            assert next(iter(document)) == "schema_version", stop
        if "--transcript" not in stop:
            assert done.err == "", (stop, done)


@pytest.mark.thorough
def test_every_command_tells_a_script_of_an_error_with_one_document(desk: Desk) -> None:
    """On stderr, and stdout stays empty."""
    for command in sorted(tour.commands()):
        done = desk.run(*command.split(), "--no-such-flag", "--json")
        assert (done.code, done.out) == (2, ""), command
        assert len(done.err.splitlines()) == 1, command
        assert done.error["code"] == "E101", command
        assert {"code", "message", "where", "hint", "cause", "retryable"} <= set(done.error), command


@pytest.mark.thorough
def test_what_people_see_comes_in_the_same_two_streams(own_desk: Desk) -> None:
    """Whatever a command says on its way is on stderr: a report in a pipe is the report."""
    own_desk.campaign("ann", "bounce+550")
    sent = own_desk.run("send", "--yes")
    report = own_desk.run("report")
    # The first line has the time of the look.
    (head, told), (title, full) = (out.out.split("\n", 1) for out in (sent, report))
    assert head.startswith("  Delivery report")
    assert title.startswith("  Delivery report")
    assert full.startswith(told)
    assert report.err == ""

"""Somebody between us and the relay takes STARTTLS away: nothing is said in clear text, and nobody is burned."""

import re
from collections.abc import Callable

import pytest

from tests.cli.desk import Desk
from tests.relays.scripted import ScriptedRelay

Scripted = Callable[..., ScriptedRelay]
HARMLESS = {"EHLO", "STARTTLS", "QUIT", "RSET", "NOOP"}


def said_in_clear(relay: ScriptedRelay) -> set[str]:
    return {event.verb for event in relay.events if not event.is_protected}


def test_without_starttls_nothing_is_accepted_and_nothing_said(desk: Desk, scripted: Scripted) -> None:
    desk.campaign("ann", "bob")
    relay = scripted(desk, ScriptedRelay(logins={"news": "secret"}), user="news")
    relay.strips_starttls = True
    done = desk.run("send", "--yes", "--json", environ={"MAILER_SMTP_PASSWORD": "secret"})
    assert (done.code, done.error["code"][:2]) == (4, "E4")
    assert said_in_clear(relay) <= HARMLESS
    assert b"secret" not in relay.heard
    assert desk.ids() == []


@pytest.mark.thorough
def test_taken_away_while_a_campaign_runs_it_pauses_and_nobody_is_burned(desk: Desk, scripted: Scripted) -> None:
    """The worker that connects again finds no STARTTLS, and says neither login nor envelope."""
    desk.campaign(*(f"p{number}" for number in range(6)), more="[smtp]\nmax_messages_per_connection = 1\n")
    relay = scripted(desk, ScriptedRelay(logins={"news": "secret"}), user="news")
    assert desk.run("send", "--yes", "--detach", "--limit", "1").code == 0
    environ = {"MAILER_SMTP_PASSWORD": "secret"}
    assert desk.run("worker", "--burst", environ=environ).code == 0
    assert len(relay.deliveries) == 1
    relay.strips_starttls = True
    assert desk.run("send", "--yes", "--detach").code == 0
    worker = desk.start("worker", environ=environ)
    desk.until(lambda: desk.status().state == "paused")
    desk.interrupt(worker)
    status = desk.status()
    assert (status.totals.sent, status.totals.queued) == (1, 5)
    assert re.search("STARTTLS", status.paused_reason or "")
    assert len(relay.deliveries) == 1
    assert said_in_clear(relay) <= HARMLESS
    # The way is as it was: it goes on, and everybody gets one.
    relay.strips_starttls = False
    assert desk.run("resume", *desk.ids()).code == 0
    assert desk.run("worker", "--burst", environ=environ).code == 0
    assert sorted(delivery.recipients for delivery in relay.deliveries) == [
        (desk.address(f"p{number}"),) for number in range(6)
    ]


def test_what_is_slipped_in_before_the_handshake_is_not_believed(desk: Desk, scripted: Scripted) -> None:
    """Replies in clear text behind the 220 of STARTTLS are an attack (CVE-2011-0411); only the relay's own count."""
    desk.campaign("ann", "bob")
    relay = scripted(desk, ScriptedRelay())
    relay.injects_after_starttls = b"250 ok\r\n" * 3 + b"354 go\r\n250 2.0.0 slipped in\r\n"
    relay.refuses_recipient(desk.address("bob"))
    report = desk.run("send", "--yes", "--json").document
    assert report["refused"] == {desk.address("bob"): [550, "5.1.1 no such user"]}
    assert report["totals"]["sent"] == len(relay.deliveries) == 1
    assert said_in_clear(relay) <= HARMLESS
    assert "slipped" not in desk.run("report", "--format", "jsonl").out

"""A service that says no to us, not to a recipient: the campaign is paused with the reason, and goes on later."""

from collections.abc import Callable

import pytest

from tests.cli.desk import Desk
from tests.relays.scripted import ScriptedRelay

Scripted = Callable[..., ScriptedRelay]


def delivered(relay: ScriptedRelay) -> list[str]:
    return sorted(recipient for delivery in relay.deliveries for recipient in delivery.recipients)


@pytest.mark.thorough
def test_a_refused_sender_pauses_and_sending_again_goes_on(own_desk: Desk, scripted: Scripted) -> None:
    own_desk.campaign("ann", "bob", "cy", more='[smtp]\nmax_connections = 1\n[queue]\nlease = "4s"\n')
    relay = scripted(own_desk, ScriptedRelay())
    relay.answers("MAIL", b"550 5.1.8 we do not know you\r\n", times=1)
    done = own_desk.run("send", "--yes")
    (campaign_id,) = own_desk.ids()
    assert done.code == 4
    assert f"Delivery report  {campaign_id}" in done.out
    assert "3 still queued; nothing is lost." in done.err
    assert f"fix the cause, then: mailer resume {campaign_id}" in done.err
    paused = own_desk.run("status", "--json").document["campaigns"][0]
    assert paused["state"] == "paused"
    assert paused["totals"]["queued"] == 3
    assert f"{campaign_id} is paused: {paused['paused_reason']}" in done.err
    shown = own_desk.run("status", environ={"COLUMNS": "200"}).out
    assert f"{campaign_id} is paused: {paused['paused_reason']}" in shown
    assert "sender" in paused["paused_reason"]

    again = own_desk.run("send", "--yes", "--json")
    assert (again.code, again.document["totals"]["sent"]) == (0, 3)
    assert delivered(relay) == sorted(own_desk.address(person) for person in ("ann", "bob", "cy"))


@pytest.mark.thorough
def test_a_login_refused_midway_pauses_and_a_resumed_campaign_is_finished_by_a_worker(
    own_desk: Desk, scripted: Scripted
) -> None:
    people = ("ann", "bob", "cy", "dee")
    own_desk.campaign(*people, more="[smtp]\nmax_connections = 1\nmax_messages_per_connection = 2\n")
    relay = scripted(own_desk, ScriptedRelay(logins={"news": "geheim"}), user="news")
    own_desk.environ["MAILER_SMTP_PASSWORD"] = "geheim"
    # The first login is the trial, the second one the worker's.
    relay.answers("AUTH", b"235 2.7.0 welcome\r\n", times=2)
    relay.answers("AUTH", b"535 5.7.8 account locked\r\n", times=1)
    done = own_desk.run("send", "--yes", "--json")
    assert done.code == 4
    assert done.document["campaign"]["state"] == "paused"
    assert "refused the login of news (535 5.7.8)" in done.document["campaign"]["paused_reason"]
    assert done.document["totals"]["queued"] == 2
    assert len(relay.deliveries) == 2

    campaign_id = done.document["campaign"]["id"]
    assert own_desk.run("worker", "--burst").code == 0
    assert len(relay.deliveries) == 2
    resumed = own_desk.run("resume", campaign_id, "--json").document
    assert (resumed["campaign_id"], resumed["state"]) == (campaign_id, "running")
    assert own_desk.run("worker", "--burst", "--json").document["sent"] == 2
    assert delivered(relay) == sorted(map(own_desk.address, people))
    finished = own_desk.run("resume", campaign_id)
    assert (finished.code, finished.out) == (2, "")
    assert finished.err.startswith(f"error[E114]: {campaign_id} is finished")


def test_a_wave_of_refusals_pauses_and_is_exit_code_5(desk: Desk, scripted: Scripted) -> None:
    desk.campaign(*(f"reader{number}" for number in range(20)), more="[smtp]\nmax_connections = 1\n")
    relay = scripted(desk, ScriptedRelay())
    relay.refuses_message(b"554 5.7.1 smells of spam\r\n")
    done = desk.run("send", "--yes", "--json")
    assert done.code == 5
    assert done.document["campaign"]["state"] == "paused"
    assert "554 5.7.1 smells of spam" in done.document["campaign"]["paused_reason"]
    assert done.document["totals"]["refused"] == 5
    assert done.document["totals"]["queued"] == 15

"""`mailer demo`: everything there is, with every outcome, and nothing left behind."""

import json
import signal
import socket
from pathlib import Path

import pytest

from mailer.backends import embedded
from mailer.backends.redis.ledgers import Ledgers
from tests.cli.desk import Desk, identities
from tests.thorough import thorough


def is_nothing_left_of(desk: Desk) -> bool:
    left = embedded.status(desk.data / "demo")
    return not desk.processes() and (left is None or not left.running) and not list(desk.data.rglob("*.sock"))


def sent_by_the_demo_of(desk: Desk) -> int:
    async def look(ledgers: Ledgers) -> int:
        ids = await ledgers.campaigns.ids()
        return (await ledgers.campaigns.status(ids[0])).totals.sent if ids else 0

    found: int = desk.ledger(look, desk.data / "demo")
    return found


@pytest.mark.thorough
def test_every_outcome_is_as_planned_and_the_mail_server_counts_the_same(own_desk: Desk) -> None:
    done = own_desk.run("demo", "--json", "--messages", "200", cold=True)
    assert (done.code, done.err) == (0, "")
    report = done.document
    assert (report["demo"]["as_planned"], report["demo"]["deviations"]) == (True, [])
    totals = report["totals"]
    assert identities(totals)
    assert {name: count for name, count in totals.items() if count} == {
        "rows": 200,
        "invalid": 1,
        "duplicate": 3,
        "accepted": 196,
        "sent": 183,
        "refused": 6,
        "failed": 1,
        "deferred": 4,
        "in_doubt": 1,
        "suppressed": 1,
    }
    assert report["demo"]["captured"] == totals["sent"]
    files = [own_desk.folder / name for name in report["demo"]["files"]]
    assert [file.suffix for file in files] == [".html", ".csv", ".json"]
    assert json.loads(files[2].read_text())["totals"] == totals
    assert is_nothing_left_of(own_desk)

    # The printed next command works after the demo has ended, and leaves nothing running either.
    campaign_id = report["campaign"]["id"]
    refused = own_desk.run("report", campaign_id, "--refused", "--json")
    assert refused.code == 0
    assert {recipient["email"] for recipient in refused.document["recipients"]} == set(report["refused"])
    left = embedded.status(own_desk.data / "demo")
    assert left is not None
    assert not left.running


@pytest.mark.parametrize("moment", ["✓ queue", *thorough("mailer demo")])
def test_ctrl_c_at_any_moment_leaves_nothing_behind(own_desk: Desk, moment: str) -> None:
    process = own_desk.start("demo", "--messages", "2000")
    process.says(moment)
    done = own_desk.interrupt(process)
    assert (done.code, done.out) == (130, "")
    assert is_nothing_left_of(own_desk)


@pytest.mark.thorough
def test_ctrl_c_while_it_sends_drains_and_leaves_nothing_behind(own_desk: Desk) -> None:
    process = own_desk.start("demo", "--messages", "3000")
    process.says("✓ workers")
    own_desk.until(lambda: sent_by_the_demo_of(own_desk) > 0)
    done = own_desk.interrupt(process)
    assert (done.code, done.out) == (130, "")
    assert done.err.endswith("Stopped; nothing is left running.\n")
    assert is_nothing_left_of(own_desk)


@pytest.mark.thorough
def test_kept_it_serves_other_commands_until_ctrl_c_and_no_second_demo_disturbs_it(own_desk: Desk) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 1025))
            taken.listen()
        except OSError:
            pass  # somebody else has it: as good
        process = own_desk.start("demo", "--messages", "50", "--keep")
        said = process.says("MAILER_SMTP_CA_FILE")
        variables = dict(
            line.split()[1].split("=", 1) for line in said.splitlines() if line.startswith("    export MAILER_")
        )
        assert list(variables) == ["MAILER_DATA_DIR", "MAILER_SMTP_URL", "MAILER_SMTP_CA_FILE"]
        assert not variables["MAILER_SMTP_URL"].endswith(":1025")

    second = own_desk.run("demo", "--messages", "50", "--json")
    assert (second.code, second.error["code"]) == (2, "E123")

    own_desk.campaign("ann", "bob")
    sent = own_desk.run("send", "--yes", "--json", environ=variables)
    assert (sent.code, sent.document["totals"]["sent"]) == (0, 2)

    process.signal(signal.SIGINT)
    done = own_desk.end(process)
    assert done.code == 130
    assert "Delivery report  autumn-offer-" in done.out
    assert "Stopped; nothing is left running." in done.err
    assert is_nothing_left_of(own_desk)
    assert sorted(path.suffix for path in Path(own_desk.folder).glob("autumn-offer-*/report.*")) == [
        ".csv",
        ".html",
        ".json",
    ]


def test_a_demo_too_small_for_every_outcome_is_refused(own_desk: Desk) -> None:
    done = own_desk.run("demo", "--messages", "49", "--json")
    assert (done.code, done.error["code"]) == (2, "E101")
    assert not own_desk.data.exists()

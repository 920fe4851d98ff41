"""A password that is changed and rights that are taken away while workers work."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from tests.operator.recount import sound
from tests.redis_faults.servers import FaultyServer
from tests.redis_faults.workers import at_work, finished, logged, recoveries, troubles
from tests.servers import until
from tests.worker.relays import capture, submit, taken_twice

Change = Callable[[FaultyServer], None]


def rights(*words: str) -> Change:
    """What an administrator grants or takes away."""

    def change(server: FaultyServer) -> None:
        server.say("ACL", "SETUSER", "default", *words)

    return change


async def _ails(ledgers: Ledgers) -> bool:
    """Nobody who lives is said to be well."""
    return not any(worker.is_healthy for worker in await ledgers.fleet.alive())


@pytest.mark.parametrize(
    ("narrowed", "given_back"),
    [
        (rights("-@scripting"), rights("+@scripting")),
        (rights("-evalsha"), rights("+evalsha")),
        (rights("-zadd", "-hset"), rights("+zadd", "+hset")),
        (rights("resetkeys", "~other:*"), rights("allkeys")),
    ],
    ids=["no scripts", "no known scripts", "no writing", "no keys"],
)
async def test_rights_taken_away_stop_the_claims_aloud_and_keep_the_outcomes_until_they_are_given_back(
    server: FaultyServer, tmp_path: Path, narrowed: Change, given_back: Change
) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=0.8) as ledgers, capture(tmp_path) as relay:
        people = [f"slow+60ms-{row}@x.test" for row in range(30)]
        campaign = await submit(ledgers, relay, people, connections=2, chunk=5)
        async with logged() as logs, at_work(ledgers, lease_s=0.8):
            await until(lambda: relay.mailbox.accepted >= 4)
            narrowed(server)
            await until(lambda: "E509" in troubles(logs))
            before = relay.mailbox.accepted
            given_back(server)
            assert relay.mailbox.accepted <= before + 2
            await until(lambda: recoveries(logs) >= 1)
            await until(lambda: finished(ledgers, campaign.id))
        status = await sound(ledgers, campaign)
    assert (status.totals.sent, status.totals.in_doubt) == (30, 0)
    assert not taken_twice(relay)


async def test_a_worker_with_the_new_password_goes_on_where_one_with_the_old_had_to_stop(
    server: FaultyServer, tmp_path: Path
) -> None:
    async with open_ledgers(server.url, prefix="t", lease_s=0.8) as ledgers, capture(tmp_path) as relay:
        people = [f"slow+60ms-{row}@x.test" for row in range(30)]
        campaign = await submit(ledgers, relay, people, connections=2, chunk=5)
        with_password = server.url.replace("unix://", "unix://:secret@")
        async with logged() as logs, at_work(ledgers, lease_s=0.8, grace_s=0.5):
            await until(lambda: relay.mailbox.accepted >= 4)
            server.lock_out()
            try:
                await until(lambda: "E509" in troubles(logs))
                async with open_ledgers(with_password, prefix="t", lease_s=0.8) as entitled:
                    await until(lambda: _ails(entitled))
                    async with at_work(entitled, lease_s=0.8):
                        await until(lambda: finished(entitled, campaign.id))
                    status = await sound(entitled, campaign)
            finally:
                server.let_in()
        told = [line for line in logs if line["event"] == "not recorded"]
    assert status.totals.sent + status.totals.in_doubt == 30
    # What the old one still had on the wire is in doubt for the others; it brings its replies when it is let in.
    assert status.totals.in_doubt <= 2
    assert not told
    assert relay.mailbox.accepted == 30
    assert not taken_twice(relay)

"""A password that is changed and rights that are taken away while workers work."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mailer.backends.redis.ledgers import open_ledgers
from tests.operator.recount import sound
from tests.redis_faults.servers import FaultyServer
from tests.redis_faults.under_way import nobody_is_well, under_way
from tests.redis_faults.workers import at_work, finished, logged, recoveries, troubles
from tests.servers import until
from tests.worker.relays import taken_twice

Change = Callable[[FaultyServer], None]


def rights(*words: str) -> Change:
    """What an administrator grants or takes away."""

    def change(server: FaultyServer) -> None:
        server.say("ACL", "SETUSER", "default", *words)

    return change


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
    async with under_way(server, tmp_path) as sending:
        async with logged() as logs, sending.at_work():
            await until(lambda: sending.taken >= 4)
            narrowed(server)
            await until(lambda: "E509" in troubles(logs))
            before = sending.taken
            given_back(server)
            assert sending.taken <= before + 2
            await until(lambda: recoveries(logs) >= 1)
            await sending.finished()
        await sending.everybody_has_one()


async def test_a_worker_with_the_new_password_goes_on_where_one_with_the_old_had_to_stop(
    server: FaultyServer, tmp_path: Path
) -> None:
    async with under_way(server, tmp_path) as sending:
        with_password = server.url.replace("unix://", "unix://:secret@")
        async with logged() as logs, sending.at_work(grace_s=0.5):
            await until(lambda: sending.taken >= 4)
            server.lock_out()
            try:
                await until(lambda: "E509" in troubles(logs))
                async with open_ledgers(with_password, prefix="t", lease_s=0.8) as entitled:
                    await until(lambda: nobody_is_well(entitled))
                    async with at_work(entitled, lease_s=0.8):
                        await until(lambda: finished(entitled, sending.campaign.id))
                    status = await sound(entitled, sending.campaign)
            finally:
                server.let_in()
        told = [line for line in logs if line["event"] == "not recorded"]
    assert status.totals.sent + status.totals.in_doubt == 30
    # What the old one still had on the wire is in doubt for the others; it brings its replies when it is let in.
    assert status.totals.in_doubt <= 2
    assert not told
    assert sending.taken == 30
    assert not taken_twice(sending.relay)

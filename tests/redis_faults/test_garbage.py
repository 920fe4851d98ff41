"""What somebody else has written into our keys: rejected, set apart, counted. The worker lives, the others are sent."""

import asyncio
import pickle
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from mailer.backends.redis.chunk_checks import UNREADABLE
from mailer.backends.redis.entries import read_messages, read_roster
from mailer.backends.redis.events import read_events
from mailer.backends.redis.frames import Frames
from mailer.backends.redis.ledgers import Ledgers, open_ledgers
from mailer.backends.redis.packing import unpack
from mailer.backends.redis.verification import verify
from mailer.capture.server import CaptureServer
from mailer.vocabulary.campaign import Campaign, CampaignState
from mailer.vocabulary.chunk import Draft
from mailer.vocabulary.errors import MailerError
from mailer.vocabulary.settings import SmtpSettings
from tests.ledger.campaigns import REFUSED, message, records, running
from tests.ledger.hands import hand
from tests.operator.console import Console
from tests.redis_faults.servers import FaultyServer
from tests.redis_faults.workers import at_work, finished, logged
from tests.servers import until
from tests.worker.relays import capture, submit, taken_twice

HUGE = b"\x00" * 500_000
NOISE = random.Random(39)
GARBAGE = [b"garbage", b"", pickle.dumps({"a": 1}), HUGE, b"\xff\xff\xff", b"-1", NOISE.randbytes(300)]
PLANTED = GARBAGE[:4]
UNSENDABLE = ("a:1", "m:1", "o:1", "ref")
"""Without these no message of the second chunk can be read, or nobody knows what has happened to it."""
READ = ("a:0", "f:0", "k:0")
"""Of the first chunk, which is finished and packed; nobody sends it again."""
FIELDS = {"s:1": "0", "c": "record", "h": "strange"}
SETS = ("open", "due")
COUNTERS = ("queued", "state")
RETYPED = ("s:1", "a:1", "m:1", "o:1", "h", "open", "due", "f:0", "c")


@dataclass(frozen=True)
class Victim:
    """A campaign of two chunks, one of them finished, into which something was planted."""

    number: int
    key: str
    campaign: Campaign

    def taken(self, relay: CaptureServer) -> int:
        """How many of its messages the relay has."""
        counts = relay.mailbox.accepted_for
        return sum(count for email, count in counts.items() if email.startswith(f"v{self.number}-"))


class Planter:
    """Makes campaigns and plants things into them."""

    def __init__(self, ledgers: Ledgers, redis: Any, relay: CaptureServer) -> None:
        self._ledgers = ledgers
        self._redis = redis
        self._relay = relay
        self.victims: list[Victim] = []

    async def campaign(self) -> Campaign:
        number = len(self.victims)
        chunks = [
            [
                Draft(row=10 * chunk + row, email=f"v{number}-{chunk}{row}@x.test", content=message(row))
                for row in (1, 2)
            ]
            for chunk in (0, 1)
        ]
        smtp = SmtpSettings(url=self._relay.url, max_connections=5, local_hostname="client.test")
        made = await running(self._ledgers, *chunks, smtp=smtp, ca_pem=self._relay.ca_file.read_text())
        async with hand(self._ledgers) as worker:
            await worker.finish(await worker.claim(made, 0), REFUSED)
        return made

    async def plant(self, key: str, put: Callable[[str], object]) -> None:
        """Into a key of a new campaign."""
        campaign = await self.campaign()
        put(self._ledgers.keys.base(campaign.id) + key)
        self.victims.append(Victim(len(self.victims), key, campaign))

    async def plant_all(self, value: bytes) -> None:
        """One value into each kind of key."""
        redis = self._redis
        for key in (*UNSENDABLE, *READ):
            await self.plant(key, lambda name: redis.set(name, value))
        for key, field in FIELDS.items():
            await self.plant(key, partial(redis.hset, key=field, value=value))
        for key in SETS:
            await self.plant(key, lambda name: redis.zadd(name, {value: 1}))
        for field in COUNTERS:
            await self.plant("c", partial(redis.hset, key=field, value=value))

    async def retype(self) -> None:
        """A value of another type in each kind of key."""

        def put(name: str) -> None:
            self._redis.delete(name)
            self._redis.lpush(name, "garbage")

        for key in RETYPED:
            await self.plant(key, put)


async def test_garbage_in_any_key_of_a_campaign_is_set_apart_and_the_others_are_sent(
    server: FaultyServer, tmp_path: Path
) -> None:
    with Redis.from_url(server.url) as redis:
        redis.config_set("appendfsync", "no")
        async with open_ledgers(server.url, prefix="t", lease_s=0.5) as ledgers, capture(tmp_path) as relay:
            planter = Planter(ledgers, redis, relay)
            for value in PLANTED:
                await planter.plant_all(value)
            await planter.retype()
            unsendable = [
                victim
                for victim in planter.victims[: -len(RETYPED)]
                # An empty log of events is what a chunk begins with.
                if victim.key in UNSENDABLE and redis.strlen(ledgers.keys.base(victim.campaign.id) + victim.key)
            ]
            sound_one = await submit(ledgers, relay, [f"p{row}@x.test" for row in range(20)], chunk=5)
            async with logged() as logs, at_work(ledgers, lease_s=0.5):
                await until(lambda: finished(ledgers, sound_one.id), within=30)
                await until(lambda: _all_apart(ledgers, unsendable), within=30)
            # Each is said once, however often it is met.
            told = [line["campaign"] for line in logs if line["event"] == "a campaign cannot be looked after"]
            assert len(told) == len(set(told))
            await ledgers.campaigns.is_idle()
            assert sum(relay.mailbox.accepted_for[f"p{row}@x.test"] for row in range(20)) == 20
            assert not taken_twice(relay)
            assert not [victim for victim in unsendable if victim.taken(relay)]
            await asyncio.gather(*(_is_told_in_one_error(ledgers, victim.campaign) for victim in planter.victims))


async def _all_apart(ledgers: Ledgers, victims: list[Victim]) -> bool:
    """Nobody waits any more for what cannot be read; it counts as failed."""
    for victim in victims:
        status = await ledgers.reading.status(victim.campaign.id)
        if (status.state, status.totals.failed) != (CampaignState.FINISHED, 2):
            return False
    return True


async def _is_told_in_one_error(ledgers: Ledgers, campaign: Campaign) -> None:
    """Whoever reads it gets an answer, or an error of ours that names the campaign."""
    readers: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: ledgers.reading.status(campaign.id),
        lambda: records(ledgers, campaign),
        lambda: verify(ledgers.redis, ledgers.keys, campaign.id),
    )
    for read in readers:
        error = await _error_of(read())
        assert error is None or (error.code == "E518" and campaign.id in error.message), error


async def _error_of(reading: Awaitable[object]) -> MailerError | None:
    try:
        await reading
    except MailerError as error:
        return error
    return None


async def test_what_is_planted_under_a_worker_amid_its_messages_stops_no_other_campaign(
    server: FaultyServer, tmp_path: Path
) -> None:
    with Redis.from_url(server.url) as redis:
        async with open_ledgers(server.url, prefix="t", lease_s=0.5) as ledgers, capture(tmp_path) as relay:
            spoilt = [
                await submit(ledgers, relay, [f"slow+200ms-{number}-{row}@x.test" for row in range(4)], connections=2)
                for number in range(8)
            ]
            async with logged(), at_work(ledgers, lease_s=0.5):
                await until(lambda: relay.mailbox.accepted >= 2)
                for campaign in spoilt:
                    for key in ("s:0", "h"):
                        name = ledgers.keys.base(campaign.id) + key
                        redis.delete(name)
                        redis.set(name, "garbage")
                other = await submit(ledgers, relay, [f"p{row}@x.test" for row in range(10)], chunk=5)
                await until(lambda: finished(ledgers, other.id), within=20)
            assert not taken_twice(relay)


@pytest.mark.parametrize(
    "read",
    [
        read_roster,
        read_messages,
        unpack,
        lambda blob: list(read_events(blob)),
        Frames(b"a reference message of some length").restore,
    ],
    ids=["roster", "messages", "packed", "events", "frame"],
)
def test_five_hundred_blobs_are_read_or_refused_and_nothing_else(read: Callable[[bytes], object]) -> None:
    noise = random.Random(500)
    for _ in range(500):
        blob = noise.choice(GARBAGE) + noise.randbytes(noise.randrange(60))
        try:
            read(blob)
        except UNREADABLE:
            continue


@pytest.mark.parametrize("place", ["a:1", "c"])
async def test_the_reading_commands_tell_garbage_in_one_message(
    server: FaultyServer, tmp_path: Path, place: str
) -> None:
    with Redis.from_url(server.url) as redis:
        async with open_ledgers(server.url, prefix="t", lease_s=1) as ledgers, capture(tmp_path) as relay:
            campaign = await Planter(ledgers, redis, relay).campaign()
            name = ledgers.keys.base(campaign.id) + place
            if place == "c":
                redis.hset(name, "record", pickle.dumps(1))
            else:
                redis.set(name, pickle.dumps(1))
            console = Console(ledgers, tmp_path)
            commands = [("report", campaign.id), ("report", campaign.id, "--format", "jsonl")]
            commands += [("status", campaign.id)] if place == "c" else []
            for words in commands:
                said = (await console.run(*words, code=4)).err
                assert said.count("error[") == said.count("error[E518]") == 1, said
                assert campaign.id in said
                assert "Traceback" not in said

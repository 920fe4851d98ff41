"""Faults 77 to 86: a producer dies, is two at once, or finds its files changed; everybody is accepted once."""

import asyncio
import base64
import random
import signal
from pathlib import Path

import pytest
from arq.constants import job_key_prefix

from mailer.flow.counts import Counts
from mailer.vocabulary.campaign import Campaign, CampaignState, CampaignStatus
from mailer.vocabulary.recipient import State
from tests.faults.mailing import Mailing, submit
from tests.faults.steps import Step
from tests.flow.submitting import CHUNK, Once, Shop, personal
from tests.relays.scripted import ScriptedRelay
from tests.reliability.company import Company, died
from tests.reliability.scene import Scene
from tests.servers import until


async def accepted(scene: Scene) -> CampaignStatus | None:
    """Where the only campaign stands, if there is one."""
    for campaign_id in await scene.ledgers.campaigns.ids():
        return await scene.ledgers.reading.status(campaign_id)
    return None


async def has(scene: Scene, least: int) -> bool:
    status = await accepted(scene)
    return status is not None and status.totals.accepted >= least


async def killed_at(least: int, scene: Scene, company: Company, mailing: Mailing) -> None:
    """A producer that is killed as soon as so many are accepted."""
    producer = await company.producer(mailing)
    await until(lambda: has(scene, least))
    producer.send(signal.SIGKILL)
    await producer.gone.wait()


async def everybody_has_one(scene: Scene, campaign: Campaign, mailing: Mailing) -> None:
    await scene.worked_off(campaign, within=120)
    found = await scene.books(campaign)
    assert {record.state for record in found.values()} == {State.SENT}
    assert scene.given == dict.fromkeys(mailing.addresses(), 1)


@pytest.mark.parametrize(
    ("people", "times"), [(30, 2), pytest.param(10_000, 100, marks=pytest.mark.every_point)], ids=["quick", "all"]
)
async def test_77_a_producer_that_is_killed_again_and_again_is_gone_on_from(
    scene: Scene, company: Company, people: int, times: int
) -> None:
    """The run after it tells how many were there already, and everybody gets one."""
    mailing = scene.mailing(people, chunk=2 if people < 1000 else 10)
    for least in sorted(random.sample(range(1, people), times)):
        await killed_at(least, scene, company, mailing)
    before = await accepted(scene)
    assert before is not None
    done = await submit(mailing)
    assert done.counts.already + done.counts.new == people
    if before.state is CampaignState.DRAFT:
        assert done.counts.already == before.totals.accepted
    await everybody_has_one(scene, done.status.campaign, mailing)


@pytest.mark.parametrize("producers", [2, 8])
async def test_78_producers_of_one_campaign_at_once_make_one_set_of_recipients(
    scene: Scene, company: Company, producers: int
) -> None:
    """None of them errs, and the counts are those of one."""
    mailing = scene.mailing(60)
    started = [await company.producer(mailing) for _ in range(producers)]
    for producer in started:
        await producer.gone.wait()
    assert [producer.status for producer in started] == [0] * producers
    (campaign_id,) = await scene.ledgers.campaigns.ids()
    status = await scene.ledgers.reading.status(campaign_id)
    assert (status.totals.accepted, status.totals.rows) == (60, 62)
    await everybody_has_one(scene, status.campaign, mailing)


async def test_80_of_a_list_that_was_not_read_to_its_end_nothing_is_sent(scene: Scene, company: Company) -> None:
    """It stays a draft while workers run, and the same command again goes on."""
    mailing = scene.mailing(40, chunk=2)
    await died(await company.producer(mailing, failpoints="after_accept:10"))
    status = await accepted(scene)
    assert status is not None
    assert (status.state, status.totals.accepted) == (CampaignState.DRAFT, 20)
    async with scene.at_work() as worker:
        await until(worker.campaigns.is_idle)
    assert scene.seen(Step.CONNECT) == 0
    done = await submit(mailing)
    assert done.status.campaign.id == status.campaign.id
    await everybody_has_one(scene, done.status.campaign, mailing)


async def test_80_of_a_stream_that_ended_early_what_was_accepted_is_sent_and_it_is_never_finished(
    scene: Scene, tmp_path: Path
) -> None:
    """`--stream`: the campaign stays running, and says that its source is not complete."""
    rows = 5 * CHUNK
    shop = Shop(tmp_path / "shop")

    def kill(counts: Counts) -> None:
        if counts.rows >= 2 * CHUNK:
            asyncio.get_running_loop().call_soon(running.cancel)

    source = Once([personal(row) for row in range(1, rows + 1)])
    running = asyncio.create_task(shop.submission(scene.ledgers, source, stream=True, progress=kill).run())
    with pytest.raises(asyncio.CancelledError):
        await running
    status = await accepted(scene)
    assert status is not None
    assert 2 * CHUNK <= status.totals.accepted < rows
    url = f"smtp+starttls://sender@localhost:{scene.sink.port}"
    async with scene.at_work(smtp={"url": url}, ca_pem=scene.sink.certificates.ca_pem):
        await scene.holds(status.campaign, lambda now: now.totals.sent == now.totals.accepted)
    after = await scene.status(status.campaign)
    assert (after.state, after.source_complete) == (CampaignState.RUNNING, False)
    assert scene.given.total() == after.totals.sent == status.totals.accepted


async def test_85_a_file_that_changes_after_accepting_is_sent_as_it_was(scene: Scene, tmp_path: Path) -> None:
    """Its content is in the ledger under its hash: what happens to the file afterwards is nobody's concern."""
    shop = Shop(tmp_path / "shop")
    prices = shop.folder / "prices.txt"
    prices.write_bytes(b"as agreed\n" * 100)
    done = await shop.submission(scene.ledgers, shop.people(3), attachments=("prices.txt",)).run()
    assert done is not None
    prices.write_bytes(b"something else\n" * 100)
    prices.unlink()
    async with ScriptedRelay() as relay:
        url = f"smtp+starttls://127.0.0.1:{relay.port}"
        async with scene.at_work(smtp={"url": url}, ca_pem=relay.certificates.ca_pem):
            await scene.finished(done.status.campaign)
        assert len(relay.deliveries) == 3
        for delivery in relay.deliveries:
            assert base64.b64encode(b"as agreed\n" * 100)[:60] in delivery.content


async def test_86_a_backlog_whose_jobs_have_expired_is_sent(scene: Scene) -> None:
    """arq forgets a job after its time; the ledger does not, and the reconciler makes it again."""
    people = [f"p{number}@x.test" for number in range(30)]
    campaign = await scene.submit(people, chunk=5)
    redis, queue = scene.ledgers.redis, scene.ledgers.keys.queue
    jobs = await redis.zrange(queue, 0, -1)
    assert len(jobs) == 6
    # Two have no content any more, two are gone, and two nobody would find.
    await redis.unlink(*(job_key_prefix + job.decode() for job in jobs[:4]))
    await redis.zrem(queue, *jobs[2:])
    await scene.worked_off(campaign)
    assert {record.state for record in (await scene.books(campaign)).values()} == {State.SENT}
    assert scene.given == dict.fromkeys(people, 1)

"""One campaign that cannot be read hides no other."""

from pathlib import Path

from mailer.backends.redis.ledgers import Ledgers
from mailer.vocabulary.campaign import Campaign
from tests.ledger.campaigns import drafts, running
from tests.operator.console import Console


async def _plant(ledgers: Ledgers, campaign: Campaign, record: bytes) -> None:
    name = ledgers.keys.campaign(campaign.id)
    await ledgers.redis.hdel(name, "record")
    await ledgers.redis.hsetnx(name, "record", record)


async def test_the_list_of_campaigns_has_all_others_and_names_the_damaged_one(ledgers: Ledgers, tmp_path: Path) -> None:
    damaged, sound = await running(ledgers, drafts([1])), await running(ledgers, drafts([1, 2]))
    await _plant(ledgers, damaged, b"\x80garbage")
    console = Console(ledgers, tmp_path)
    said = await console.run("status")
    assert sound.id in said.out
    assert damaged.id not in said.out
    assert said.err.count("error[E518]") == 1
    assert damaged.id in said.err
    document = (await console.run("status", "--json")).document
    assert [campaign["id"] for campaign in document["campaigns"]] == [sound.id]
    assert [told["where"] for told in document["warnings"] if told["code"] == "E518"] == [damaged.id]
    assert (await console.run("status", damaged.id, "--json", code=4)).error["code"] == "E518"


async def test_a_damaged_campaign_alone_is_not_told_as_an_empty_queue(ledgers: Ledgers, tmp_path: Path) -> None:
    damaged = await running(ledgers, drafts([1]))
    await _plant(ledgers, damaged, b"")
    said = await Console(ledgers, tmp_path).run("status")
    assert "no campaign yet" not in said.out
    assert damaged.id in said.err

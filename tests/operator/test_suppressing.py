"""The do-not-send list: one entry for every spelling of an address, and nothing is lost on the way out and in."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.backends.redis.ledgers import Ledgers
from mailer.policy.spreadsheet_cells import shield, unshield
from tests.ledger.campaigns import drafts, running
from tests.ledger.hands import hand
from tests.operator.console import Console


@given(st.text(max_size=6) | st.from_regex(r"'{0,3}[=+@-]?\w*", fullmatch=True))
def test_a_shielded_address_reads_back_and_is_no_formula(address: str) -> None:
    assert unshield(shield(address)) == address
    assert shield(address)[:1] not in {"=", "+", "-", "@"}


async def test_every_spelling_of_an_address_is_the_same_entry(ledgers: Ledgers, console: Console) -> None:
    said = await console.run("suppress", "add", "A.b@BÜCHER.Test", "--reason", "complained")
    assert said.out == "1 added\n"
    again = await console.run("suppress", "add", '"A.b"@xn--bcher-kva.test.', "A.b+news@bücher.test", "--json")
    assert again.document == {"schema_version": 1, "added": 1, "unchanged": 1, "invalid": []}
    for spelling in ("A.b@bu\u0308cher.test", "A.b@xn--bcher-kva.test"):
        document = (await console.run("suppress", "why", spelling, "--json")).document
        assert (document["is_suppressed"], document["reason"]) == (True, "complained")
    # The case of the local part counts (RFC 5321 section 2.4).
    said = await console.run("suppress", "why", "a.b@bücher.test")
    assert said.out == "a.b@xn--bcher-kva.test is not on the do-not-send list\n"
    assert (await console.run("suppress", "remove", "A.b@bücher.test", "other@x.test", "--json")).document[
        "removed"
    ] == 1
    assert [key for key, _ in await ledgers.suppression.entries()] == ["A.b+news@xn--bcher-kva.test"]


async def test_valid_addresses_are_added_and_the_others_are_told_with_their_line(console: Console) -> None:
    (console.folder / "gone.txt").write_text("ann@x.test\n\nbob@@x.test\nzero\u200bwidth@x.test\ncarl@x.test\n")
    said = await console.run("suppress", "import", "gone.txt", code=3)
    assert said.out == "2 added\n"
    assert 'gone.txt line 3: "bob@@x.test" is not an e-mail address: two @ signs' in said.err
    assert "error[E211]: gone.txt line 4" in said.err
    document = (await console.run("suppress", "import", "gone.txt", "--json", code=3)).document
    assert [entry["line"] for entry in document["invalid"]] == [3, 4]
    assert (document["added"], document["unchanged"]) == (0, 2)
    assert (await console.run("suppress", "import", "nothing.csv", "--json", code=3)).error["code"] == "E201"
    assert (await console.run("suppress", "why", "bob@@x.test", "--json", code=3)).error["code"] == "E211"


@pytest.mark.thorough
async def test_what_is_exported_can_be_imported_elsewhere(ledgers: Ledgers, console: Console) -> None:
    people = ["=1+1@x.test", "'=odd@x.test", "+tag@x.test", "ann@x.test"]
    await console.run("suppress", "add", "--reason", "=cmd, they said", "--", *people)
    await console.run("suppress", "export", "-o", "list.csv")
    text = (console.folder / "list.csv").read_text()
    assert not [line for line in text.splitlines() if line.startswith(("=", "+", "-", "@"))]
    before = await ledgers.suppression.entries()
    await ledgers.redis.unlink(ledgers.keys.suppressed)
    assert (await console.run("suppress", "import", "list.csv")).out == "4 added\n"
    assert [key for key, _ in await ledgers.suppression.entries()] == [key for key, _ in before] == sorted(people)
    listed = (await console.run("suppress", "list", "--json")).document["suppressed"]
    assert [entry["email"] for entry in listed] == sorted(people)
    assert "ann@x.test" in (await console.run("suppress", "list")).out
    assert json.loads((await console.run("suppress", "export", "--json")).out)["suppressed"] == listed


async def test_a_csv_file_needs_an_email_column(console: Console) -> None:
    (console.folder / "list.csv").write_text("name;E-Mail\nAnn;ann@x.test\nBob;\n")
    said = await console.run("suppress", "import", "list.csv", code=3)
    assert said.out == "1 added\n"
    assert "list.csv line 3" in said.err
    (console.folder / "other.csv").write_text("name,town\nAnn,Ulm\n")
    assert (await console.run("suppress", "import", "other.csv", "--json", code=3)).error["code"] == "E203"


async def test_who_is_put_on_the_list_gets_no_mark_any_more(ledgers: Ledgers, console: Console) -> None:
    campaign = await running(ledgers, drafts([1]))
    async with hand(ledgers) as worker:
        claim = await worker.claim(campaign)
        await console.run("suppress", "add", "r1@X1.test")
        assert not await worker.mark(claim, claim.recipients[0])

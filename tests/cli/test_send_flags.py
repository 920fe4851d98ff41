"""The flags of `mailer send`: what they mean together."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mailer.cli.send_flags import SendFlags
from mailer.policy.asking import begin_ms
from mailer.vocabulary.errors import UsageError
from tests.cli.desk import Desk


@pytest.mark.parametrize(
    "given",
    [
        {"new": True, "append": True},
        {"offset": 3, "resume": 4},
        {"sample": 3, "limit": 3},
        {"dry_run": True, "at": "2999-01-01"},
        {"at": "2999-01-01", "wait": "10m"},
        {"limit": 0},
        {"sample": -1},
        {"offset": -1},
        {"resume": 0},
    ],
    ids=str,
)
def test_flags_that_make_no_sense_together_are_refused(given: dict[str, Any]) -> None:
    """One clear message, before anything is read."""
    with pytest.raises(UsageError) as refused:
        SendFlags(**given).check()
    assert refused.value.code == "E101"


def test_mailmerges_resume_is_an_offset_from_one() -> None:
    """`--resume 5` begins with row 5."""
    assert SendFlags(resume=5).options().offset == 4


def test_a_test_is_three_rows_unless_told_otherwise() -> None:
    assert SendFlags(test_to="me@acme.test").options().limit == 3
    assert SendFlags(test_to="me@acme.test", limit=7).options().limit == 7
    assert SendFlags(test_to="me@acme.test", sample=5).options().limit is None


def test_a_time_without_an_offset_is_local() -> None:
    """ISO 8601, and in the future."""
    soon = datetime.now(UTC) + timedelta(days=3)
    assert begin_ms(soon.isoformat(), str) == int(soon.timestamp() * 1000)
    local = soon.astimezone().replace(tzinfo=None)
    assert begin_ms(local.isoformat(), str) == int(soon.timestamp() * 1000)
    for wrong in ("tomorrow", "2001-01-01", ""):
        with pytest.raises(UsageError):
            begin_ms(wrong, str)


def test_a_single_file_is_the_template_and_keeps_every_row(tmp_path: Path) -> None:
    """As mailmerge has it, with its list beside it; flags win."""
    letter = tmp_path / "letter.txt"
    letter.write_text("To: {{ email }}\n\nHello\n")
    assert SendFlags().settings(letter)["campaign.template"] == str(letter)
    assert SendFlags().settings(letter)["campaign.duplicates"] == "keep"
    assert SendFlags().settings(letter)["campaign.recipients"] is None
    (tmp_path / "mailmerge_database.csv").write_text("email\n")
    assert SendFlags().settings(letter)["campaign.recipients"] == str(tmp_path / "mailmerge_database.csv")
    flags = SendFlags(recipients="people.csv", duplicates="first").settings(letter)
    assert (flags["campaign.recipients"], flags["campaign.duplicates"]) == ("people.csv", "first")


@pytest.mark.thorough
def test_a_limit_a_test_and_a_later_rest_by_their_flags(desk: Desk) -> None:
    """Three rows to one address, ten rows, then all of them: three calls, two campaigns, nobody twice."""
    desk.campaign(*(f"p{row}" for row in range(15)))
    test = desk.run("send", "--test-to", "me@acme.test", "--yes", "--detach", "--json")
    assert (test.code, test.document["accepted"]) == (0, 3)
    part = desk.run("send", "--limit", "10", "--yes", "--detach", "--json")
    whole = desk.run("send", "--yes", "--detach", "--json")
    assert (part.document["accepted"], whole.document["accepted"]) == (10, 15)
    assert part.document["campaign_id"] == whole.document["campaign_id"] != test.document["campaign_id"]
    again = desk.run("send", "--new", "--yes", "--detach", "--json")
    assert again.document["campaign_id"] != whole.document["campaign_id"]
    excluded = str(whole.document["campaign_id"])
    left = desk.run("send", "--exclude-campaign", excluded, "--key", desk.name, "--yes", "--detach", "--json")
    assert (left.document["accepted"], left.document["duplicate"]) == (0, 15)


def test_a_campaign_for_later_is_stored_and_said_when(desk: Desk) -> None:
    """`send --at` does not wait, and says that a worker must run then."""
    desk.campaign("a", "b", "c")
    done = desk.run("send", "--at", "2999-01-01T08:00Z", "--yes")
    assert done.code == 0
    assert "2999-01-01" in done.err
    (campaign_id,) = [word.rstrip(":") for word in done.out.split() if word.startswith(f"{desk.name}-")]
    status = desk.run("status", campaign_id, "--json")
    assert '"scheduled"' in status.out
    assert f"{campaign_id} begins at 2999-01-01 08:00:00Z" in desk.run("status", campaign_id).out


@pytest.mark.thorough
def test_a_file_that_is_named_is_the_template_although_a_folder_has_one_like_it(desk: Desk) -> None:
    """`mailer send letter.txt` sends that file, not `templates/letter.txt`."""
    desk.campaign("ann")
    desk.write("letter.txt", "To: {{ email }}\nFrom: me@acme.example\nSubject: this one\n\nHello\n")
    desk.write("templates/letter.txt", "To: {{ email }}\nFrom: me@acme.example\nSubject: the other\n\nHello\n")
    assert desk.run("send", "letter.txt", "--recipients", "recipients.csv", "--yes").code == 0
    assert [message.subject for message in desk.relay.mailbox if desk.name in str(message.recipients)] == ["this one"]


def test_changed_content_beside_an_unfinished_campaign_is_told(desk: Desk) -> None:
    """It is another campaign and goes to everybody: somebody who only mended a word should know (W115)."""
    desk.campaign("ann", "bob")
    first = desk.run("send", "--yes", "--detach", "--json").document["campaign_id"]
    assert "W115" not in desk.run("send", "--yes", "--detach").err
    desk.write("templates/hello/body.txt.j2", "Hello {{ first_name }}, once more.\n")
    changed = desk.run("send", "--yes", "--detach")
    assert f"warning[W115]: {first} has the same name and 2 messages left" in changed.err

"""`mailer send`: everybody gets one message, however often and from wherever it is started."""

import json
import signal

import pytest

from tests.cli.desk import Desk, identities


@pytest.mark.thorough
def test_without_a_worker_it_does_the_work_and_ends_with_the_report(own_desk: Desk) -> None:
    own_desk.campaign("ann", "bob", "cy")
    done = own_desk.run("send", "--yes", cold=True)
    assert done.code == 0
    assert own_desk.arrived == {"ann": 1, "bob": 1, "cy": 1}
    (campaign_id,) = own_desk.ids()
    assert f"Delivery report  {campaign_id}" in done.out
    assert "3 accepted + 0 invalid + 0 duplicate = 3 rows ✓" in done.out
    assert done.err == f"{campaign_id}: 3 accepted, 0 invalid, 0 duplicate\n"
    assert own_desk.run("report", "--exit-code").code == 0


def test_some_refused_is_exit_code_1_and_json_prints_the_report_alone(desk: Desk) -> None:
    desk.campaign("ann", "bounce+550", "full+552", "bob")
    done = desk.run("send", "--yes", "--json")
    assert (done.code, done.err) == (1, "")
    assert done.document["campaign"]["state"] == "finished"
    assert done.document["totals"]["sent"] == 2
    assert identities(done.document["totals"])
    assert done.document["refused"] == {
        desk.address("bounce+550"): [550, "5.1.1 unknown user"],
        desk.address("full+552"): [552, "5.2.2 mailbox full"],
    }
    assert desk.arrived == {"ann": 1, "bob": 1}
    assert desk.run("report", done.document["campaign"]["id"], "--exit-code").code == 1


def test_sent_again_nobody_gets_a_second_one_and_the_numbers_are_the_same(desk: Desk) -> None:
    desk.campaign("ann", "bob", "ann")
    first, second = (desk.run("send", "--yes", "--json") for _ in range(2))
    assert (first.code, second.code) == (0, 0)
    assert first.document["campaign"] == second.document["campaign"]
    assert first.document["totals"] == second.document["totals"]
    detached = desk.run("send", "--yes", "--detach", "--json")
    assert detached.document == {
        "schema_version": 1,
        "campaign_id": first.document["campaign"]["id"],
        "accepted": 2,
        "invalid": 0,
        "duplicate": 1,
        "suppressed": 0,
    }
    assert desk.arrived == {"ann": 1, "bob": 1}


@pytest.mark.thorough
def test_sent_twice_at_once_everybody_gets_one(own_desk: Desk) -> None:
    people = [f"reader{number}" for number in range(250)]
    own_desk.campaign(*people, "bounce+550")
    both = [own_desk.start("send", "--yes", "--json") for _ in range(2)]
    first, second = (own_desk.end(process) for process in both)
    assert (first.code, second.code) == (1, 1)
    assert first.document["campaign"]["id"] == second.document["campaign"]["id"]
    assert first.document["totals"] == second.document["totals"]
    assert first.document["totals"]["accepted"] == 251
    assert own_desk.arrived == dict.fromkeys(people, 1)


@pytest.mark.thorough
def test_detached_twice_at_once_the_line_is_the_same(own_desk: Desk) -> None:
    own_desk.campaign(*(f"reader{number}" for number in range(250)), "reader7", "two@@signs.example")
    both = [own_desk.start("send", "--yes", "--detach", "--json") for _ in range(2)]
    lines = {own_desk.end(process).out for process in both}
    assert len(lines) == 1
    line = json.loads(lines.pop())
    assert (line["accepted"], line["invalid"], line["duplicate"]) == (250, 1, 1)


@pytest.mark.thorough
def test_a_key_with_other_content_is_refused_and_the_campaign_stays_as_it_was(desk: Desk) -> None:
    desk.campaign("ann")
    key = f"key-{desk.name}"
    first = desk.run("send", "--yes", "--detach", "--key", key, "--json")
    desk.campaign("ann", "bob")
    other = desk.run("send", "--yes", "--detach", "--key", key)
    assert (other.code, other.out) == (2, "")
    assert other.err.startswith("error[E205]: ")
    assert first.document["campaign_id"] in other.err
    assert "fix: " in other.err
    assert desk.run("send", "--yes", "--key", key, "--json").error["code"] == "E205"
    assert desk.status().totals.accepted == 1
    assert desk.got("bob") == [0]


@pytest.mark.thorough
def test_rows_left_out_are_told_with_their_numbers_and_are_no_failure(desk: Desk) -> None:
    desk.campaign(
        recipients_csv=f'email,first_name\nann@{desk.domain},A\nbob@@x.example,B\n"",C\nann@{desk.domain},D\n'
    )
    done = desk.run("send", "--yes")
    assert done.code == 0
    assert 'error[E211]: row 2: "bob@@x.example" is not an e-mail address: two @ signs' in done.err
    assert "row 3: " in done.err
    assert "2 such rows are left out as invalid." in done.err
    assert "warning[W210]: 1 address occurs more than once (2 rows) – the first is kept" in done.err
    assert "row 4  ann@…" in done.err
    assert "1 accepted + 2 invalid + 1 duplicate = 4 rows ✓" in done.out
    assert desk.arrived == {"ann": 1}


def test_one_bad_row_and_nothing_is_accepted(own_desk: Desk) -> None:
    own_desk.campaign(body_html='<html lang="en">\n  <p>Hello {{ first_name }},</p>\n</html>\n', body_txt="Hello.\n")
    people = [{"email": own_desk.address(name), "first_name": name} for name in ("ann", "bob", "cy", "dee")]
    del people[2]["first_name"]
    own_desk.write("people.jsonl", "".join(f"{json.dumps(row)}\n" for row in people))
    own_desk.write("templates/hello/subject.txt.j2", "News\n")
    done = own_desk.run("send", "--recipients", "people.jsonl", "--yes")
    assert (done.code, done.out) == (3, "")
    first, place, caret, *rest = done.err.splitlines()
    assert first == "error[E301]: people.jsonl row 3 (cy@…): the template needs first_name"
    assert place.endswith("templates/hello/body.html.j2:2   <p>Hello {{ first_name }},</p>")
    assert caret == " " * place.index("first_name") + "^" * len("first_name")
    assert [line for line in rest if line.startswith("  fix: ")]
    assert "Nothing was accepted and nothing was sent." in done.err
    told = own_desk.run("send", "--recipients", "people.jsonl", "--yes", "--json")
    assert told.error["code"] == "E301"
    assert "row 3" in told.error["message"]
    assert own_desk.run("status", "--json").document["campaigns"] == []
    assert own_desk.arrived == {}

    skipped = own_desk.run("send", "--recipients", "people.jsonl", "--yes", "--skip-bad", "--json")
    assert skipped.code == 1
    assert skipped.document["totals"]["failed"] == 1
    assert own_desk.arrived == {"ann": 1, "bob": 1, "dee": 1}
    (failed,) = own_desk.run("report", "--state", "failed", "--json").document["recipients"]
    assert (failed["row"], failed["phase"], failed["reason"]) == (3, "build", "build")


def test_a_dry_run_finds_the_bad_row_and_needs_neither_queue_nor_mail_server(own_desk: Desk) -> None:
    own_desk.campaign("ann", "ann", "two@@signs.example")
    nothing = {"MAILER_SMTP_URL": "", "MAILER_REDIS_URL": "redis://127.0.0.1:1"}
    checked = own_desk.run("send", "--dry-run", "--json", environ=nothing).document
    assert [warning["code"] for warning in checked.pop("warnings")] == ["E211", "W210"]
    assert checked == {
        "schema_version": 1,
        "rows": 3,
        "buildable": 1,
        "invalid": 1,
        "duplicate": 1,
    }
    own_desk.write("templates/hello/body.txt.j2", "{{ 1 // (first_name | length - 3) }}\n")
    bad = own_desk.run("send", "--dry-run", environ=nothing)
    assert (bad.code, bad.out) == (3, "")
    assert "recipients.csv row 1 (ann@…)" in bad.err
    assert "hello/body.txt.j2:1" in bad.err
    assert not own_desk.data.exists()


@pytest.mark.thorough
def test_a_list_on_standard_input_is_once_under_a_key(desk: Desk) -> None:
    desk.campaign()
    people = f"email,first_name\n{desk.address('ann')},Ann\n"
    for _ in range(2):
        assert desk.run("send", "--recipients", "-", "--key", desk.name, "--yes", stdin=people).code == 0
    assert desk.arrived == {"ann": 1}


@pytest.mark.thorough
def test_with_a_worker_elsewhere_it_only_watches(own_desk: Desk) -> None:
    own_desk.campaign("ann", "bob")
    worker = own_desk.start("worker", "--processes", "2")
    own_desk.until(lambda: len(own_desk.ledger(lambda ledgers: ledgers.fleet.alive())) == 2)
    seen = own_desk.run("status", "--json").document
    done = own_desk.run("send", "--yes", "--json")
    assert (done.code, done.document["totals"]["sent"]) == (0, 2)
    who = {json.loads(line)["worker"] for line in own_desk.run("report", "--format", "jsonl").out.splitlines()}
    assert {name.rpartition(":")[2] for name in who} <= {str(worker["pid"]) for worker in seen["workers"]}
    ended = own_desk.interrupt(worker, signal.SIGTERM)
    assert (ended.code, ended.out) == (0, "")
    assert own_desk.arrived == {"ann": 1, "bob": 1}


@pytest.mark.thorough
def test_the_mail_server_named_for_one_campaign_never_gets_the_mail_of_another(own_desk: Desk) -> None:
    own_desk.campaign("ann", "bob", more='[smtp]\nurl = "smtp+insecure://127.0.0.1:9"\n')
    from_file = {"MAILER_SMTP_URL": "", "MAILER_SMTP_CA_FILE": ""}
    assert own_desk.run("send", "--yes", "--detach", environ=from_file).code == 0
    own_desk.campaign("cy", file="other.toml")
    done = own_desk.run("send", "other.toml", "--yes", "--json")
    assert (done.code, done.document["totals"]["sent"]) == (0, 1)
    assert own_desk.arrived == {"cy": 1}

"""The messages of interface.md section 11, word for word, from real causes."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from mailer.cli.status import deserted
from mailer.vocabulary.route import Security
from tests.cli.running import Warm
from tests.diagnosis.command_line import CommandLine, Done
from tests.diagnosis.conftest import Names
from tests.diagnosis.golden import check, check_json
from tests.relays import certificates
from tests.relays.certificates import Certificates
from tests.relays.scripted import ScriptedRelay
from tests.servers import OwnServer

PASSWORD = "canary-7d1f-password"


class Bench:
    """A relay, the settings that lead to it, and `doctor` in both forms."""

    def __init__(
        self, mailer: CommandLine, monkeypatch: pytest.MonkeyPatch, place: Path, stack: AsyncExitStack
    ) -> None:
        self._mailer = mailer
        self._environ = monkeypatch.setenv
        self._place = place
        self._stack = stack

    async def relay(self, security: Security = Security.STARTTLS, **options: Any) -> ScriptedRelay:
        relay = await self._stack.enter_async_context(ScriptedRelay(security, **options))
        self.trusts(relay.certificates)
        return relay

    def trusts(self, authority: Certificates) -> None:
        ca_file = self._place / "ca.pem"
        ca_file.write_text(authority.ca_pem)
        self._environ("MAILER_SMTP_CA_FILE", str(ca_file))

    async def golden(self, name: str, url: str, exit_code: int, **masked: object) -> None:
        """`doctor --smtp` must say, in text and in JSON, what the golden files say."""
        self._environ("MAILER_SMTP_URL", url)
        self._environ("MAILER_SMTP_PASSWORD", PASSWORD)
        text = await self._mailer("doctor", "--smtp")
        document = await self._mailer("doctor", "--smtp", "--json")
        assert (text.code, text.err, document.code, document.err) == (exit_code, "", exit_code, "")
        assert PASSWORD not in text.out + document.out
        check(f"{name}.txt", text.out, **masked)
        check_json(f"{name}.json", document.document["smtp"]["steps"][-1]["error"], **masked)


@pytest.fixture
async def bench(mailer: CommandLine, monkeypatch: pytest.MonkeyPatch, place: Path) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        yield Bench(mailer, monkeypatch, place, stack)


async def test_01_tls_from_the_start_where_starttls_is_spoken(bench: Bench) -> None:
    relay = await bench.relay()
    await bench.golden("01_wrong_version", f"smtps://localhost:{relay.port}", 4, PORT=relay.port)


@pytest.mark.thorough
async def test_02_no_greeting_where_tls_is_expected(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    listener = _listen_on_465()
    monkeypatch.setenv("MAILER_SMTP__CONNECT_TIMEOUT", "0.3")
    with listener:
        await bench.golden("02_silent_465", "smtp+starttls://localhost:465", 4)


def _listen_on_465() -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", 465))
    except PermissionError:
        pytest.skip("port 465 is not for this user")


async def test_03_gmail_refuses_an_account_password(bench: Bench, names: Names) -> None:
    names("smtp.gmail.com")
    relay = await bench.relay(shows=certificates.issue("smtp.gmail.com"), logins={"you@gmail.com": "another"})
    url = f"smtp+starttls://you%40gmail.com@smtp.gmail.com:{relay.port}"
    await bench.golden("03_gmail", url, 4, PORT=relay.port)
    assert relay.verbs().count("AUTH") == 2, "one login for each command"


async def test_04_the_certificate_is_for_another_name(bench: Bench) -> None:
    relay = await bench.relay(shows=certificates.issue("smtp.acme.example"))
    await bench.golden("04_other_name", f"smtp+starttls://127.0.0.1:{relay.port}", 4, PORT=relay.port)


async def test_05_the_authority_is_unknown(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    relay = await bench.relay()
    monkeypatch.delenv("MAILER_SMTP_CA_FILE")
    await bench.golden("05_unknown_authority", f"smtp+starttls://localhost:{relay.port}", 4, PORT=relay.port)


async def test_06_the_server_wants_starttls(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILER_CAMPAIGN__SENDER", "News <news@acme.example>")
    relay = await bench.relay(Security.PLAIN)
    relay.refuses_sender(b"530 Must issue a STARTTLS command first\r\n")
    await bench.golden("06_starttls_required", f"smtp+insecure://localhost:{relay.port}", 4, PORT=relay.port)


async def test_07_nothing_listens(bench: Bench) -> None:
    with socket.create_server(("127.0.0.2", 0)) as listener:
        port = listener.getsockname()[1]
    await bench.golden("07_nothing_listens", f"smtp+starttls://127.0.0.2:{port}", 4, PORT=port)


async def test_08_no_such_host(bench: Bench, names: Names) -> None:
    names()
    await bench.golden("08_no_such_host", "smtp+starttls://smpt.acme.example:587", 4)


async def test_09_a_row_lacks_what_the_template_needs(mailer: CommandLine, place: Path) -> None:
    _campaign(place)
    text = await mailer("send", "--dry-run")
    document = await mailer("send", "--dry-run", "--json")
    assert (text.code, document.code, text.out, document.out) == (3, 3, "", "")
    check("09_missing_variable.txt", text.err)
    check_json("09_missing_variable.json", json.loads(document.err)["error"])


async def test_10_addresses_that_occur_more_than_once(mailer: CommandLine, place: Path) -> None:
    people = ["ann", "bob", "ann", "cyd", "bob", "ann"]
    _campaign(place, "email,first_name\n" + "".join(f"{name}@acme.example,{name.title()}\n" for name in people))
    await _left_out(mailer, "10_duplicates")


async def test_11_rows_that_are_no_address(mailer: CommandLine, place: Path) -> None:
    _campaign(place, "email,first_name\nann@acme.example,Ann\nbob@@acme.example,Bob\ncyd,Cyd\n,Dan\n")
    await _left_out(mailer, "11_no_address")


async def _left_out(mailer: CommandLine, name: str) -> None:
    """A dry run counts the rows on stdout, and says on stderr or in its document what is wrong with some."""
    text, document = await mailer("send", "--dry-run"), await mailer("send", "--dry-run", "--json")
    assert (text.code, document.code, document.err) == (0, 0, "")
    check(f"{name}.txt", text.err.removesuffix("Nothing was sent.\n"))
    (warning,) = document.document["warnings"]
    check_json(f"{name}.json", warning)


@pytest.mark.thorough
async def test_12_no_redis(mailer: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("MAILER_REDIS_URL", f"redis://:{PASSWORD}@localhost:{port}/0")
    text, document = await mailer("status"), await mailer("status", "--json")
    assert (text.code, document.code, text.out, document.out) == (4, 4, "", "")
    assert PASSWORD not in text.err + document.err
    check("12_no_redis.txt", text.err, PORT=port)
    check_json("12_no_redis.json", json.loads(document.err)["error"], PORT=port)


async def test_13_a_redis_that_evicts(
    mailer: CommandLine, place: Path, evicting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _campaign(place, "email,first_name\nann@acme.example,Ann\n")
    monkeypatch.setenv("MAILER_REDIS_URL", evicting)
    monkeypatch.setenv("MAILER_SMTP_URL", "smtp+insecure://localhost:25")
    text, document = await mailer("send", "--yes"), await mailer("send", "--yes", "--json")
    assert (text.code, document.code, text.out, document.out) == (2, 2, "", "")
    check("13_evicting_redis.txt", text.err)
    check_json("13_evicting_redis.json", json.loads(document.err)["error"])
    doctor: Done = await mailer("doctor", "--redis", "--json")
    failed = {step["step"]: step["error"]["code"] for step in doctor.document["redis"]["steps"] if step["error"]}
    assert (doctor.code, failed) == (3, {"maxmemory-policy": "E502"})


@pytest.mark.thorough
async def test_14_nobody_works_the_queue(
    mailer: CommandLine, place: Path, own_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "".join(f"p{number}@acme.example,Pat\n" for number in range(1204))
    _campaign(place, f"email,first_name\n{rows}")
    monkeypatch.setenv("MAILER_REDIS_URL", own_server.url)
    monkeypatch.setenv("MAILER_SMTP_URL", "smtp+insecure://localhost:25")
    assert (await mailer("send", "--yes", "--detach")).code == 0
    text, document = await mailer("status"), await mailer("status", "--json")
    assert (text.code, document.code, document.err) == (0, 0, "")
    check("14_nobody_works.txt", text.err)
    # While a command waits, or behind a worker that died, it is known for how long.
    assert deserted(1204, 60).message == "1 204 messages queued, but no worker has reported for 60 s"
    (warning,) = document.document["warnings"]
    check_json("14_nobody_works.json", warning)


@pytest.mark.thorough
async def test_15_receivers_refuse_the_sending_domain(
    mailer: CommandLine,
    place: Path,
    bench: Bench,
    own_server: OwnServer,
    warm: Warm,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    relay = await bench.relay()
    relay.answers("RCPT", b"550 5.7.515 Access denied, acme.example is not authenticated enough\r\n", when="@outlook.")
    relay.answers("RCPT", b"550 5.7.515 Access denied, acme.example is not authenticated enough\r\n", when="@hotmail.")
    relay.answers("RCPT", b"550 5.7.26 this mail is unauthenticated\r\n", when="@gmail.com")
    people = ["ann@outlook.com", "bob@hotmail.de", "cyd@gmail.com", "dan@acme.example"]
    _campaign(place, "email,first_name\n" + "".join(f"{person},Pat\n" for person in people))
    monkeypatch.setenv("MAILER_REDIS_URL", own_server.url)
    monkeypatch.setenv("MAILER_SMTP_URL", f"smtp+starttls://localhost:{relay.port}")
    # Each such reply pauses the campaign, and the same command again goes on with it.
    for _ in people:
        ended = await mailer.process(warm, "send", "--yes")
    (delivery,) = relay.deliveries
    assert (ended.code, delivery.recipients) == (1, ("dan@acme.example",))
    text, document = await mailer("report"), await mailer("report", "--json")
    campaign = document.document["campaign"]["id"]
    check("15_domain_fails.txt", text.err, CAMPAIGN=campaign)
    check_json("15_domain_fails.json", document.document["warnings"], CAMPAIGN=campaign)
    watched, watched_document = await mailer("watch"), await mailer("watch", "--json")
    assert watched.err == text.err
    assert watched_document.document["warnings"] == document.document["warnings"]
    assert ended.err.endswith(text.err)


async def test_17_what_separates_the_columns(mailer: CommandLine, place: Path) -> None:
    _campaign(place, "email;name\nann@acme.example;Ann\n")
    text = await mailer("send", "--dry-run", "--delimiter", ",")
    document = await mailer("send", "--dry-run", "--delimiter", ",", "--json")
    assert (text.code, document.code, text.out, document.out) == (3, 3, "", "")
    check("17_delimiter.txt", text.err)
    check_json("17_delimiter.json", json.loads(document.err)["error"])


@pytest.fixture
def evicting(own_server: OwnServer) -> str:
    with Redis.from_url(own_server.url) as redis:
        redis.config_set("maxmemory-policy", "allkeys-lru")
    return own_server.url


def _campaign(place: Path, rows: str | None = None) -> None:
    """A campaign whose JSON rows have no `first_name`, unless others are given."""
    template = place / "templates" / "hello"
    template.mkdir(parents=True)
    (template / "subject.txt.j2").write_text("Hello\n")
    (template / "body.html.j2").write_text("<html>\n<p>Hello {{ first_name }},</p>\n")
    source = "people.jsonl" if rows is None else "people.csv"
    if rows is None:
        rows = "".join(f'{{"email": "jane{n}@acme.example", "firstname": "Jane"}}\n' for n in range(3))
    (place / source).write_text(rows)
    (place / "mailer.toml").write_text(
        f'[campaign]\nname = "hello"\ntemplate = "hello"\nsender = "news@acme.example"\nrecipients = "{source}"\n'
    )

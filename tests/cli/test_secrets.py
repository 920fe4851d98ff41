"""A password reaches the mail server and nothing else: no output, no log, no queue, no process list."""

import base64
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from mailer.backends import embedded
from tests.cli.desk import Desk, Done
from tests.relays.scripted import ScriptedRelay
from tests.thorough import first

CANARY = "Kanarienvogel-7f3c"
Scripted = Callable[..., ScriptedRelay]


def given_as(source: str, desk: Desk) -> dict[str, str]:
    if source == "variable":
        return {"MAILER_SMTP_PASSWORD": CANARY}
    file = desk.write("secret", f"{CANARY}\n")
    file.chmod(0o600)
    if source == "file":
        return {"MAILER_SMTP_PASSWORD_FILE": str(file)}
    script = "import sys; print(open(sys.argv[1]).read(), end='')"
    return {"MAILER_SMTP_PASSWORD_COMMAND": shlex.join([sys.executable, "-c", script, str(file)])}


def everything_in(data: Path) -> bytes:
    """Every key with its value, as the queue server would hand it to somebody else."""
    with Redis.from_url(embedded.ensure(data)) as redis:
        keys = redis.keys("*")
        assert keys
        return b"".join(key + (redis.dump(key) or b"") for key in keys) + b"".join(_plain(redis, key) for key in keys)


def _plain(redis: "Redis", key: bytes) -> bytes:
    name = key.decode()
    match redis.type(key):
        case b"string":
            value: object = redis.get(name)
        case b"hash":
            value = redis.hgetall(name)
        case b"list":
            value = redis.lrange(name, 0, -1)
        case b"set":
            value = redis.smembers(name)
        case _:
            value = redis.zrange(name, 0, -1)
    return repr(value).encode()


def command_lines() -> bytes:
    found = b""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += file.read_bytes()
        except OSError:
            continue
    return found


def is_in(text: bytes | str) -> bool:
    raw = text.encode() if isinstance(text, str) else text
    return any(form in raw for form in (CANARY.encode(), base64.b64encode(CANARY.encode()).rstrip(b"=")))


def shown(*commands: Done) -> bool:
    return any(is_in(done.out + done.err) for done in commands)


@pytest.mark.parametrize("source", first(1, ["variable", "file", "command"]))
def test_a_login_works_and_its_password_stays_secret(own_desk: Desk, scripted: Scripted, source: str) -> None:
    own_desk.campaign("ann", "bounce")
    relay = scripted(own_desk, ScriptedRelay(logins={"news@acme.example": CANARY}), user="news%40acme.example")
    relay.refuses_recipient(own_desk.address("bounce"))
    secret = given_as(source, own_desk)
    sent = own_desk.run("send", "--yes", "-vv", environ=secret)
    assert sent.code == 1
    assert len(relay.deliveries) == 1
    assert {event.argument.partition(" ")[0] for event in relay.events if event.verb == "AUTH"} == {"PLAIN"}
    assert all(event.is_protected for event in relay.events if event.verb == "AUTH")
    reports = [
        own_desk.start("report", "--format", form, environ=secret) for form in ("json", "jsonl", "html", "table")
    ]
    looks = [own_desk.end(report) for report in reports]
    assert not shown(sent, *looks)
    assert not is_in(everything_in(own_desk.data))
    assert not any(is_in(file.read_bytes()) for file in own_desk.data.rglob("*") if file.is_file())


@pytest.mark.thorough
def test_workers_get_it_without_a_process_list_showing_it(own_desk: Desk, scripted: Scripted) -> None:
    own_desk.campaign("ann")
    relay = scripted(own_desk, ScriptedRelay(logins={"news": CANARY}), user="news")
    detached = own_desk.run("send", "--yes", "--detach")
    assert detached.code == 0
    worker = own_desk.start("worker", "-vv", environ={"MAILER_SMTP_PASSWORD": CANARY})
    own_desk.until(lambda: relay.deliveries)
    assert not is_in(command_lines())
    assert not is_in(everything_in(own_desk.data))
    assert not shown(detached, own_desk.interrupt(worker))


def test_a_refused_password_is_not_repeated(desk: Desk, scripted: Scripted) -> None:
    desk.campaign("ann")
    relay = scripted(desk, ScriptedRelay(logins={"news": "another"}), user="news")
    relay.answers("AUTH", f"535 5.7.8 {CANARY} is no password\r\n".encode(), times=0)
    for words in ((), ("--json",), ("-vv",)):
        done = desk.run("send", "--yes", *words, environ={"MAILER_SMTP_PASSWORD": CANARY})
        assert done.code == 4
        assert not shown(done)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("MAILER_SMTP_URL", f"smtps://ann:{CANARY}@127.0.0.1:9"),
        ("MAILER_SMTP_URL", f"smtps://ann:{CANARY}"),
        ("MAILER_REDIS_URL", f"http://ann:{CANARY}@127.0.0.1:9"),
        ("MAILER_REDIS_URL", f"redis://ann:{CANARY}"),
    ],
)
def test_a_password_in_a_url_is_never_echoed(desk: Desk, name: str, url: str) -> None:
    desk.campaign("ann")
    for words in ((), ("--json",)):
        done = desk.run("send", "--yes", *words, environ={name: url})
        assert done.code in (2, 4)
        assert not shown(done)

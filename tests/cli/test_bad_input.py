"""What bad input gets: one clear message, the documented exit code, nothing half-accepted, nothing sent."""

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from redis import Redis

from mailer.backends import embedded
from mailer.vocabulary.route import Security
from tests.cli.desk import Desk
from tests.relays import certificates
from tests.relays.scripted import ScriptedRelay
from tests.thorough import chosen

EXPLAIN_THEMSELVES = {"E201", "E204", "E302"}
"""Errors that name the file and the line, and then have nothing to add."""
SECRET = "kanarienvogel"
Scripted = Callable[..., ScriptedRelay]


@dataclass(frozen=True, kw_only=True)
class Case:
    """Something wrong, and what is said about it."""

    code: str
    exit_code: int
    says: tuple[str, ...]
    prepare: Callable[[Desk], object] = lambda desk: None
    words: tuple[str, ...] = ("send", "--yes")
    environ: dict[str, str] = field(default_factory=dict)


def toml(text: str) -> Callable[[Desk], None]:
    return lambda desk: desk.campaign("ann", more=text)


def recipients(content: bytes) -> Callable[[Desk], object]:
    return lambda desk: (desk.folder / "recipients.csv").write_bytes(content)


def unreadable(desk: Desk) -> None:
    (desk.folder / "recipients.csv").unlink()
    (desk.folder / "recipients.csv").symlink_to("/proc/self/mem")


def a_folder(desk: Desk) -> None:
    (desk.folder / "recipients.csv").unlink()
    (desk.folder / "recipients.csv").mkdir()


def in_the_way(desk: Desk) -> None:
    desk.environ["MAILER_DATA_DIR"] = str(desk.write("a-file", ""))


CASES = {
    "no such campaign file": Case(
        words=("send", "nowhere.toml", "--yes"), code="E108", exit_code=2, says=("there is no file nowhere.toml",)
    ),
    "no such list": Case(
        prepare=lambda desk: (desk.folder / "recipients.csv").unlink(),
        code="E201",
        exit_code=3,
        says=("recipients.csv",),
    ),
    "a list that cannot be read": Case(prepare=unreadable, code="E201", exit_code=3, says=("recipients.csv",)),
    "a list that is a folder": Case(prepare=a_folder, code="E201", exit_code=3, says=("recipients.csv",)),
    "a list without addresses": Case(
        prepare=recipients(b"name,first_name\nAnn,Ann\n"),
        code="E203",
        exit_code=3,
        says=("recipients.csv", "'email'", "name, first_name"),
    ),
    "a list without a column of the template": Case(
        prepare=recipients(b"email,firstname\na@x.example,Ann\n"),
        code="E301",
        exit_code=3,
        says=("recipients.csv", "first_name", "email, firstname"),
    ),
    "a list with a quote that never ends": Case(
        prepare=recipients(b'email,first_name\na@x.example,Ann\nb@x.example,"Bob\nc@x.example,Cy\n'),
        code="E204",
        exit_code=3,
        says=("recipients.csv", "line 3"),
    ),
    "a list in another encoding": Case(
        prepare=recipients(b"email,first_name\na@x.example,J\xfcrgen\n"),
        code="E204",
        exit_code=3,
        says=("recipients.csv", "line 2"),
    ),
    "a list of nobody": Case(
        prepare=recipients(b"email,first_name\n"), code="E207", exit_code=3, says=("recipients.csv",)
    ),
    "a delimiter that is not certain": Case(
        prepare=recipients(b"email:first_name\na@x.example:Ann\n"),
        code="E202",
        exit_code=3,
        says=('"email:first_name"', '--delimiter ":"'),
    ),
    "no such template": Case(
        words=("send", "--yes", "--template", "helo"), code="E303", exit_code=3, says=("no template 'helo'",)
    ),
    "a template with a mistake": Case(
        prepare=lambda desk: desk.write("templates/hello/body.txt.j2", "Hello\n{{ first_name }\n"),
        code="E302",
        exit_code=3,
        says=("hello/body.txt.j2:2",),
    ),
    "an unknown key": Case(
        prepare=toml("[smtp]\n\nulr = 'smtps://x'\n"),
        code="E101",
        exit_code=2,
        says=("[smtp] has no key ulr", "mailer.toml:8", "did you mean url?"),
    ),
    "an unknown flag": Case(
        words=("send", "--yess"), code="E101", exit_code=2, says=("No such option: --yess", "mailer send --help")
    ),
    "an unknown command": Case(words=("sned",), code="E101", exit_code=2, says=("No such command 'sned'",)),
    "a duration that is none": Case(
        words=("worker", "--grace", "soon"), code="E101", exit_code=2, says=("--grace: 'soon' is not a duration",)
    ),
    "a URL that does not say how it protects": Case(
        words=("send", "--yes", "--smtp-url", "smtp://mail.example"),
        code="E102",
        exit_code=2,
        says=("--smtp-url", "smtp+starttls://mail.example:587", "smtps://", "smtp+insecure://"),
    ),
    "a password in the URL": Case(
        environ={"MAILER_SMTP_URL": f"smtps://ann:{SECRET}@mail.example"},
        code="E103",
        exit_code=2,
        says=("MAILER_SMTP_URL", "MAILER_SMTP_PASSWORD"),
    ),
    "a password in the URL in a file": Case(
        prepare=toml(f'[smtp]\nurl = "smtp+starttls://ann:{SECRET}@mail.example"\n'),
        environ={"MAILER_SMTP_URL": ""},
        code="E103",
        exit_code=2,
        says=("mailer.toml:7", "MAILER_SMTP_PASSWORD"),
    ),
    "a login in clear text": Case(
        environ={"MAILER_SMTP_URL": "smtp+insecure://ann@mail.example"},
        code="E104",
        exit_code=2,
        says=("smtp+starttls://user@mail.example:587",),
    ),
    "a login without a password": Case(
        environ={"MAILER_SMTP_URL": "smtps://ann@mail.example"},
        code="E113",
        exit_code=2,
        says=("no password for ann", "MAILER_SMTP_PASSWORD_FILE"),
    ),
    "nobody to ask": Case(words=("send",), code="E115", exit_code=2, says=("--yes",)),
    "no Redis at the URL": Case(
        words=("worker",),
        environ={"MAILER_REDIS_URL": f"redis://ann:{SECRET}@127.0.0.1:9/0"},
        code="E501",
        exit_code=4,
        says=("no Redis at redis://***@127.0.0.1:9/0", "unset MAILER_REDIS_URL"),
    ),
    "no room for the embedded queue": Case(
        prepare=in_the_way, code="E504", exit_code=4, says=("cannot use the folder", "MAILER_DATA_DIR")
    ),
    "an unknown campaign": Case(words=("report", "nobody-1234"), code="E109", exit_code=2, says=("mailer status",)),
}
QUICK = (
    "no such list",
    "a list of nobody",
    "a template with a mistake",
    "an unknown key",
    "an unknown flag",
    "a password in the URL",
    "a login without a password",
    "nobody to ask",
    "no room for the embedded queue",
)
"""One of every kind: what the quick set has as well."""


def hold(desk: Desk, case: Case) -> None:
    """The two shapes of an error, and what must not be in either."""
    told, document = (desk.run(*case.words, *shape, environ=case.environ) for shape in ((), ("--json",)))
    assert (told.code, told.out) == (case.exit_code, ""), told.err
    first, *more = told.err.splitlines()
    assert first.startswith(f"error[{case.code}]: "), told.err
    assert all(line.startswith("  ") for line in more), told.err
    if case.code not in EXPLAIN_THEMSELVES:
        assert any(line.startswith("  fix: ") for line in more), told.err
    for words in case.says:
        assert words in told.err, told.err

    assert document.code == case.exit_code
    assert len(document.err.splitlines()) == 1
    assert list(document.error) == ["code", "message", "where", "hint", "cause", "retryable"]
    assert document.error["code"] == case.code
    assert f"error[{case.code}]: {document.error['message']}" in told.err
    assert document.error["hint"] is None or f"fix: {document.error['hint'].splitlines()[0]}" in told.err
    assert SECRET not in told.err + document.err


@pytest.mark.parametrize("name", chosen(CASES, *QUICK))
def test_it_is_named_with_its_place_and_a_fix(desk: Desk, name: str) -> None:
    desk.campaign("ann")
    CASES[name].prepare(desk)
    hold(desk, CASES[name])
    assert desk.ids() == []
    assert desk.arrived == {}


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "shape"), [("an unknown flag", ()), ("no such list", ("--json",))])
def test_started_cold_a_command_says_the_same(desk: Desk, name: str, shape: tuple[str, ...]) -> None:
    desk.campaign("ann")
    CASES[name].prepare(desk)
    words = (*CASES[name].words, *shape)
    assert desk.run(*words, cold=True, environ=CASES[name].environ) == desk.run(*words, environ=CASES[name].environ)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_list_without_permission_is_named(desk: Desk) -> None:
    desk.campaign("ann")
    (desk.folder / "recipients.csv").chmod(0)
    hold(desk, Case(code="E201", exit_code=3, says=("recipients.csv", "Permission denied")))


# The mail server: nothing is accepted when it cannot be used.


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine where nobody listens, and nobody else can."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.mark.thorough
def test_nothing_is_accepted_when_nothing_listens(desk: Desk, closed_port: int) -> None:
    desk.campaign("ann")
    environ = {"MAILER_SMTP_URL": f"smtp+starttls://127.0.0.1:{closed_port}"}
    says = (f"nothing is listening on 127.0.0.1:{closed_port}", "fix: mailer capture")
    hold(desk, Case(code="E431", exit_code=4, environ=environ, says=says))
    assert desk.ids() == []


def test_nothing_is_accepted_when_the_certificate_cannot_be_trusted(desk: Desk) -> None:
    desk.campaign("ann")
    says = ("signed by an unknown authority", "MAILER_SMTP_CA_FILE")
    hold(desk, Case(code="E422", exit_code=4, environ={"MAILER_SMTP_CA_FILE": ""}, says=says))
    assert desk.ids() == []


@pytest.mark.thorough
def test_nothing_is_accepted_when_the_certificate_is_for_another_name(desk: Desk, scripted: Scripted) -> None:
    desk.campaign("ann")
    relay = scripted(desk, ScriptedRelay(shows=certificates.issue("mail.acme.example")))
    says = (f"the certificate of 127.0.0.1:{relay.port} is for",)
    hold(desk, Case(code="E421", exit_code=4, says=says))
    assert desk.ids() == []


@pytest.mark.thorough
def test_nothing_is_accepted_when_starttls_is_missing(desk: Desk, scripted: Scripted) -> None:
    desk.campaign("ann")
    relay = scripted(desk, ScriptedRelay())
    relay.strips_starttls = True
    hold(desk, Case(code="E424", exit_code=4, says=("does not offer STARTTLS",)))
    assert b"MAIL" not in relay.heard
    assert desk.ids() == []


@pytest.mark.thorough
def test_nothing_is_accepted_when_tls_from_the_start_meets_a_greeting(desk: Desk, scripted: Scripted) -> None:
    desk.campaign("ann")
    relay = scripted(desk, ScriptedRelay())
    environ = {"MAILER_SMTP_URL": f"smtps://127.0.0.1:{relay.port}"}
    says = ("speaks STARTTLS", f"fix: smtp+starttls://127.0.0.1:{relay.port}")
    hold(desk, Case(code="E401", exit_code=4, environ=environ, says=says))


def test_nothing_is_accepted_when_the_login_is_refused(desk: Desk, scripted: Scripted) -> None:
    desk.campaign("ann")
    scripted(desk, ScriptedRelay(Security.STARTTLS, logins={"ann": "right"}), user="ann")
    says = ("refused the login of ann (535 5.7.8)", "MAILER_SMTP_PASSWORD")
    hold(desk, Case(code="E411", exit_code=4, environ={"MAILER_SMTP_PASSWORD": SECRET}, says=says))
    assert desk.ids() == []


# The queue: what may lose mail gets none.


@pytest.mark.parametrize("words", [("send", "--yes"), ("worker", "--burst")], ids=" ".join)
def test_a_redis_that_may_evict_gets_nothing(
    desk: Desk, words: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> None:
    desk.campaign("ann")
    folder = tmp_path_factory.mktemp("evicts")
    try:
        with Redis.from_url(embedded.ensure(folder)) as redis:
            redis.config_set("maxmemory-policy", "allkeys-lru")
            says = ("may evict queued mail (maxmemory-policy allkeys-lru)", "maxmemory-policy noeviction")
            environ = {"MAILER_REDIS_URL": embedded.ensure(folder)}
            hold(desk, Case(words=words, code="E502", exit_code=2, environ=environ, says=says))
            assert redis.dbsize() == 0
    finally:
        embedded.stop(folder)

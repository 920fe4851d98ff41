"""`mailer dev certs`: certificates that a client trusts, and nothing of anybody else's is touched."""

import ssl
import stat
from pathlib import Path

from mailer.vocabulary.route import Security
from tests.diagnosis.command_line import CommandLine
from tests.relays.scripted import ScriptedRelay

ARGUMENTS = ("dev", "certs", "--out", "certs", "--host", "localhost", "--host", "127.0.0.1")


def server_context(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return context


async def test_a_server_with_them_is_trusted(mailer: CommandLine, place: Path) -> None:
    done = await mailer(*ARGUMENTS, "--json")
    assert (done.code, done.document["made"]) == (0, True)
    async with ScriptedRelay(Security.TLS, tls_context=server_context(place / "certs")) as relay:
        (place / "mailer.toml").write_text(
            f'[smtp]\nurl = "smtps://localhost:{relay.port}"\nca_file = "certs/ca.pem"\n'
        )
        assert (await mailer("doctor", "--smtp")).code == 0


async def test_keys_are_for_nobody_else(mailer: CommandLine, place: Path) -> None:
    await mailer(*ARGUMENTS)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (place / "certs").iterdir()}
    assert modes == {"ca.pem": 0o644, "ca.key": 0o600, "server.pem": 0o644, "server.key": 0o600}


async def test_again_keeps_what_fits_and_replaces_what_does_not(mailer: CommandLine, place: Path) -> None:
    await mailer(*ARGUMENTS)
    before = {file.name: file.read_bytes() for file in (place / "certs").iterdir()}
    assert (await mailer(*ARGUMENTS, "--json")).document["made"] is False
    assert {file.name: file.read_bytes() for file in (place / "certs").iterdir()} == before
    again = await mailer("dev", "certs", "--out", "certs", "--host", "mail.test", "--json")
    assert again.document["made"] is True
    assert (place / "certs" / "ca.pem").read_bytes() == before["ca.pem"]


async def test_what_somebody_else_made_is_never_overwritten(mailer: CommandLine, place: Path) -> None:
    await mailer("dev", "certs", "--out", "other", "--host", "localhost")
    for name in ("ca.pem", "server.pem", "server.key"):
        folder = place / f"with-{name}"
        folder.mkdir()
        (folder / name).write_bytes((place / "other" / name).read_bytes())
        done = await mailer("dev", "certs", "--out", folder.name, "--host", "localhost")
        assert done.code == 2
        assert "error[E118]" in done.err
        assert (folder / name).read_bytes() == (place / "other" / name).read_bytes()


async def test_without_a_host_it_says_so(mailer: CommandLine) -> None:
    done = await mailer("dev", "certs", "--out", "certs")
    assert done.code == 2
    assert "--host" in done.err

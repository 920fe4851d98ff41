"""Promises about the SMTP password: one source, never shown."""

import os
import shlex
import stat
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailer.config.environment import with_env_file
from mailer.config.secrets import Secret, smtp_password
from mailer.vocabulary.errors import UsageError

CANARY = "hunter2canary"


def _command(program: str) -> dict[str, str]:
    return {"MAILER_SMTP_PASSWORD_COMMAND": shlex.join([sys.executable, "-c", program])}


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(f" {CANARY} \r\nsecond line\n", encoding="utf-8")
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    return path


def test_each_of_the_three_variables_gives_the_password(password_file: Path) -> None:
    assert smtp_password({"MAILER_SMTP_PASSWORD": f" {CANARY} "}) == f" {CANARY} "
    assert smtp_password({"MAILER_SMTP_PASSWORD_FILE": str(password_file)}) == f" {CANARY} "
    assert smtp_password(_command(f"print(' {CANARY} '); print('second line')")) == f" {CANARY} "
    assert smtp_password({"MAILER_SMTP_PASSWORD": "", "PATH": "/bin"}) is None


def test_it_may_stand_in_the_env_file(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("MAILER_SMTP_PASSWORD='pa$$word'\nMAILER_DATA_DIR=/a\n", encoding="utf-8")

    environ = with_env_file({"MAILER_DATA_DIR": "/b", "MAILER_SMTP_PASSWORD": ""}, env_file)

    assert (smtp_password(environ), environ["MAILER_DATA_DIR"]) == ("pa$$word", "/b")


def test_a_secret_hides_in_repr_and_still_logs_in() -> None:
    @dataclass
    class Login:
        password: str

    secret = Secret(CANARY)

    assert CANARY not in repr(Login(secret)) + f"{secret!r}" + repr({"password": secret})
    assert secret.encode() == CANARY.encode()
    assert f"\0ann\0{secret}" == f"\0ann\0{CANARY}"


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"MAILER_SMTP_PASSWORD": CANARY, "MAILER_SMTP_PASSWORD_FILE": "/x"}, "given 2 times"),
        ({"MAILER_SMTP_PASSWORD_FILE": "/nowhere/password"}, "cannot be read"),
        ({"MAILER_SMTP_PASSWORD_FILE": "/"}, "cannot be read"),
        ({"MAILER_SMTP_PASSWORD_FILE": "/dev/null"}, "is empty"),
        ({"MAILER_SMTP_PASSWORD_COMMAND": f"'{CANARY}"}, "open quote"),
        ({"MAILER_SMTP_PASSWORD_COMMAND": " "}, "open quote or no program"),
        ({"MAILER_SMTP_PASSWORD_COMMAND": f"/nowhere/{CANARY}"}, "could not be started"),
        (_command(f"import sys; print('{CANARY}'); sys.exit('{CANARY}')"), "exit code 1"),
        (_command(f"print(); print('{CANARY}')"), "is empty"),
        (_command(f"import sys; sys.stdout.buffer.write(b'{CANARY}' + bytes([255]))"), "not UTF-8"),
    ],
)
def test_a_password_that_cannot_be_had_is_explained_without_it(
    environ: dict[str, str], message: str, everything_about: Callable[[UsageError], str]
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        smtp_password(environ)

    assert caught.value.code == "E106"
    assert str(caught.value.where).startswith("MAILER_SMTP_PASSWORD")
    assert CANARY not in everything_about(caught.value)


def test_a_password_file_that_everybody_can_read_is_refused(password_file: Path) -> None:
    password_file.chmod(0o644)

    with pytest.raises(UsageError, match="every user of this machine") as caught:
        smtp_password({"MAILER_SMTP_PASSWORD_FILE": str(password_file)})

    assert (caught.value.code, caught.value.hint) == ("E106", f"chmod 600 {password_file}")


def test_a_secret_mounted_into_a_container_may_be_open(password_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    password_file.chmod(0o444)
    monkeypatch.setattr("mailer.config.secrets._CONTAINER_SECRETS", password_file.parent)

    assert smtp_password({"MAILER_SMTP_PASSWORD_FILE": str(password_file)}) == f" {CANARY} "


def test_a_password_may_come_through_a_pipe(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, CANARY.encode())
    os.close(writer)

    assert smtp_password({"MAILER_SMTP_PASSWORD_FILE": f"/dev/fd/{reader}"}) == CANARY
    os.close(reader)


def test_a_command_sees_the_environment_but_no_shell_and_no_stdin() -> None:
    program = "import os, sys; print(os.environ['VAULT'] + sys.argv[1] + repr(sys.stdin.read()))"
    environ = {"VAULT": "v", "MAILER_SMTP_PASSWORD_COMMAND": shlex.join([sys.executable, "-c", program, "$VAULT"])}

    assert smtp_password(environ) == "v$VAULT''"


def test_a_command_that_hangs_is_given_up() -> None:
    program = f"import time; print('{CANARY}', flush=True); time.sleep(30)"
    begun = time.monotonic()

    with pytest.raises(UsageError, match=r"did not answer in 0\.3 s"):
        smtp_password(_command(program), timeout=0.3)

    assert time.monotonic() - begun < 10

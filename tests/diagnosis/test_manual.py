"""Completion and the manual page come from the table of commands itself."""

import asyncio
import os
import shutil
import subprocess
import sys

import pytest

from tests.diagnosis.command_line import CommandLine


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_a_shell_can_read_its_completion_script(mailer: CommandLine, shell: str) -> None:
    done = await mailer("completion", shell)
    assert (done.code, done.err) == (0, "")
    assert f"_MAILER_COMPLETE=complete_{shell}" in done.out
    if program := shutil.which(shell):
        await asyncio.to_thread(subprocess.run, [program, "-n"], input=done.out, text=True, check=True)


def test_what_the_script_asks_is_answered() -> None:
    environ = {**os.environ, "_MAILER_COMPLETE": "complete_bash", "COMP_WORDS": "mailer expl", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv = ['mailer']; from mailer.__main__ import main; main()"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["explain"], done.stderr


async def test_an_unknown_shell_is_an_error(mailer: CommandLine) -> None:
    done = await mailer("completion", "csh")
    assert (done.code, done.out) == (2, "")


async def test_the_manual_has_every_command_flag_and_exit_code(mailer: CommandLine) -> None:
    done = await mailer("man")
    assert (done.code, done.err) == (0, "")
    page = done.out.replace("\\-", "-")
    for command in ("mailer send [CAMPAIGN]", "mailer queue stop", "mailer config show", "mailer dev certs"):
        assert f".SS {command}" in page
    for flag in ("--dry-run", "--transcript", "--env-file FILE", "-o, --output PATH"):
        assert rf"\fB{flag}" in page
    assert [line for line in page.splitlines() if line.startswith(r"\fB130")]


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
async def test_groff_has_nothing_to_complain_about(mailer: CommandLine) -> None:
    page = (await mailer("man")).out
    groff = ["groff", "-man", "-Tutf8", "-ww"]
    done = await asyncio.to_thread(subprocess.run, groff, input=page, capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_the_help_loads_nothing_heavy() -> None:
    heavy = {"redis", "aiosmtplib", "pydantic", "pydantic_settings", "arq", "jinja2", "cryptography", "trustme"}
    code = (
        "import sys; from mailer.cli.app import run; run(['--help']);"
        f"print(sorted({heavy!r} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"

"""Help that begins with an example, and a start that loads nothing it does not need."""

import importlib
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer

from mailer import __version__
from mailer.cli.registry import app
from tests.cli.desk import Desk
from tests.cli.running import ROOT

HEAVY = {"arq", "redis", "pydantic", "pydantic_settings", "aiosmtplib", "jinja2", "cryptography", "uvloop", "trustme"}
"""What only the command that needs it may load."""


def commands(group: typer.Typer = app, name: str = "mailer") -> Iterator[tuple[str, typer.models.CommandInfo]]:
    for command in group.registered_commands:
        assert command.callback is not None
        yield f"{name} {command.name or command.callback.__name__}", command
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        yield from commands(inner.typer_instance, f"{name} {inner.name}")


importlib.import_module("mailer.cli.app")  # fills the table
ALL = dict(commands())


def test_the_main_verbs_are_there() -> None:
    verbs = "demo send worker status report resume capture queue.start queue.stop queue.status"
    assert {f"mailer {verb.replace('.', ' ')}" for verb in verbs.split()} <= ALL.keys()


@pytest.mark.parametrize("name", ALL)
def test_a_command_is_a_plain_function(name: str) -> None:
    # typer drops a coroutine without a word, and the exit code is 0.
    assert not inspect.iscoroutinefunction(inspect.unwrap(ALL[name].callback or commands))


@pytest.mark.parametrize("name", ALL)
def test_the_help_of_a_command_begins_with_an_example_of_it(name: str) -> None:
    example = (ALL[name].help or "").splitlines()[0]
    assert example.startswith("Example: ")
    assert name in example


@pytest.mark.parametrize(
    "words", [(), ("-h",), ("queue",), ("queue", "stop", "--help"), ("send", "--help")], ids=" ".join
)
def test_help_is_data_and_begins_with_an_example(desk: Desk, words: tuple[str, ...]) -> None:
    done = desk.run(*words)
    assert (done.code, done.err) == (0, "")
    usage, example, *_ = (line.strip() for line in done.out.splitlines() if line.strip())
    assert usage.startswith("Usage: mailer")
    assert example.startswith("Example: mailer")


def test_a_missing_command_is_an_error_for_a_script(desk: Desk) -> None:
    for words in (("--json",), ("queue", "--json")):
        done = desk.run(*words)
        assert (done.code, done.error["code"]) == (2, "E101")


def test_the_version_is_one_line(desk: Desk) -> None:
    done = desk.run("--version", cold=True)
    assert (done.code, done.out, done.err) == (0, f"mailer {__version__}\n", "")
    assert desk.run("--version", "--no-color").out == done.out


def loaded_by(script: str) -> set[str]:
    script = f"import sys, json\n{script}\nprint(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    command, environ = [sys.executable, "-c", script], {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    modules: list[str] = json.loads(done.stderr.splitlines()[-1])
    return {name.partition(".")[0] for name in modules if not name.startswith("mailer.")} | {
        name for name in modules if name.startswith("mailer.")
    }


def test_help_loads_nothing_that_only_commands_need() -> None:
    loaded = loaded_by("from mailer.cli.app import run\nassert run(['--help']) == 0")
    assert not loaded & HEAVY
    assert not {name for name in loaded if name.startswith(("mailer.flow", "mailer.backends", "mailer.worker"))}


def test_importing_the_package_loads_the_package_alone() -> None:
    loaded = loaded_by("import mailer")
    assert not loaded & (HEAVY | {"typer", "rich", "structlog", "msgspec", "asyncio"})
    assert {name for name in loaded if name.startswith("mailer.")} == set()


def test_the_version_is_told_without_loading_the_application() -> None:
    loaded = loaded_by("from mailer.__main__ import main\nmain(['--version'])")
    assert not loaded & (HEAVY | {"typer", "rich"})

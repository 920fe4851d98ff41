"""The event loop of a worker: uvloop's where it is installed, asyncio's own everywhere else."""

import asyncio
import subprocess
import sys

import pytest

LOOP = """
import asyncio, sys
if {hidden}:
    sys.modules["uvloop"] = None
from mailer.worker.event_loop import new_event_loop
with asyncio.Runner(loop_factory=new_event_loop) as runner:
    print(type(runner.get_loop()).__module__.partition(".")[0])
"""


def loop_of(*, hidden: bool) -> str:
    script = LOOP.format(hidden=hidden)
    return subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.strip()


def test_without_uvloop_it_is_the_one_of_python() -> None:
    assert loop_of(hidden=True) == asyncio.__name__


def test_with_uvloop_it_is_that() -> None:
    pytest.importorskip("uvloop")
    assert loop_of(hidden=False) == "uvloop"

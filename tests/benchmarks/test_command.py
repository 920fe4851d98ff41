"""`python -m benchmarks`: what it offers, and what it says when it cannot."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import ours, peers

ROOT = Path(__file__).parent.parent.parent


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def test_a_peer_that_there_is_not_is_told_with_those_that_there_are() -> None:
    done = run("--peers", "bullmq,sendmail")
    assert done.returncode == 1
    assert "no peer sendmail" in done.stderr
    assert "smtplib-starttls" in done.stderr


def test_help_names_every_measurement() -> None:
    words = run("--help").stdout
    for name in ("contest", "stages", "latency", "growth", "delay", "scaling"):
        assert f"python -m benchmarks {name}" in words or name == "contest"


@pytest.mark.parametrize("size", ["nonsense", "-1"])
def test_a_size_that_is_none_is_a_usage_error(size: str) -> None:
    assert run("--size", size).returncode == 2


def test_everybody_has_a_name_of_his_own() -> None:
    names = [runner.name for runner in (*ours.RUNNERS, *peers.runners())]
    assert len(set(names)) == len(names)
    assert {"smtplib", "smtplib-starttls", "arq", "mailmerge", "bullmq", "postfix", "smtp-source"} <= set(names)

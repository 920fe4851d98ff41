"""The demo needs no network: it runs where there is nothing but this computer, and tries to reach nothing else."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from mailer.backends import embedded
from tests.cli.running import ROOT

LOOPBACK_UP = """
import fcntl, os, socket, struct, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 0x41))  # SIOCSIFFLAGS, IFF_UP | IFF_RUNNING
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""Run in a namespace of its own, whose only interface is down at first; becomes the Python it is told to be."""
GUARD = """
import os, sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            with open(os.environ["TRIED"], "a") as file:
                print(event, address, file=file)
            raise OSError(101, "Network is unreachable")
sys.addaudithook(refuse)
"""
"""Put in the way of every Python process, workers too (`sitecustomize`)."""
OUTSIDE = "import socket; socket.create_connection(('192.0.2.1', 25), timeout=5)"
"""An address that stands for any other computer (RFC 5737)."""


@cache
def namespace() -> tuple[str, ...]:
    """What to write before a command to cut it off from the network; empty where that is not permitted."""
    for words in (("unshare", "-n"), ("unshare", "-rn")):
        try:
            told = subprocess.run(
                [*words, sys.executable, "-c", LOOPBACK_UP, "-c", ""], capture_output=True, check=False
            )
        except OSError:
            return ()
        if told.returncode == 0:
            return (*words, sys.executable, "-c", LOOPBACK_UP)
    return ()


def run(prefix: tuple[str, ...], folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Python with these words, cut off by the prefix, or by the guard where there is none."""
    (folder / "sitecustomize.py").write_text("" if prefix else GUARD)
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": f"{folder}:{ROOT}",
        "MAILER_DATA_DIR": str(folder / "d"),
        "TRIED": str(folder / "tried"),
    }
    command = [*(prefix or (sys.executable,)), *words]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False)


def demonstrate(prefix: tuple[str, ...], folder: Path) -> None:
    assert "unreachable" in run(prefix, folder, "-c", OUTSIDE).stderr
    (folder / "tried").unlink(missing_ok=True)
    try:
        done = run(prefix, folder, "-m", "mailer", "demo", "--messages", "100", "--json")
    finally:
        embedded.stop(folder / "d" / "demo")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["demo"]["as_planned"]
    assert report["demo"]["captured"] == report["totals"]["sent"] > 0
    assert not (folder / "tried").exists()


@pytest.mark.thorough
def test_the_demo_runs_where_there_is_no_network(tmp_path: Path) -> None:
    """Every outcome as planned, the workers' too, in a namespace that has only the loopback interface."""
    if not namespace():
        pytest.skip("may not make a network namespace")
    demonstrate(namespace(), tmp_path)


@pytest.mark.thorough
def test_the_demo_tries_to_reach_nobody_else(tmp_path: Path) -> None:
    """No process of it opens a connection to another computer, not even one that would fail."""
    demonstrate((), tmp_path)

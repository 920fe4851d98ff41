"""Processes of a measurement are ended with everything they started, and what they cost is known."""

import os
import sys
import time
from pathlib import Path

import pytest

from benchmarks.crew import BenchmarkError, Crew
from benchmarks.measuring import Watch, cpu_s, read_process, trees

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="it reads /proc")

CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""
BUSY = "import time\nwhile time.process_time() < 0.3: pass"


def is_alive(pid: int) -> bool:
    process = read_process(pid)
    return process is not None and not process.is_over


def test_all_are_ended_with_their_children(tmp_path: Path) -> None:
    """Also when somebody presses Ctrl-C."""
    pids: list[int] = []

    def interrupted() -> None:
        with Crew(tmp_path) as crew:
            crew.start("parent", [sys.executable, "-c", CHILD])
            crew.until_said("parent", "\n")
            pids.extend((crew.pids["parent"], int(crew.log("parent").read_text())))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    deadline = time.monotonic() + 10
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < deadline


def test_cpu_time_of_a_process_that_has_ended_still_counts(tmp_path: Path) -> None:
    with Crew(tmp_path) as crew:
        crew.start("busy", [sys.executable, "-c", BUSY])
        crew.until_over("busy")
        assert cpu_s(crew.pids)["busy"] >= 0.25


def test_memory_is_that_of_the_whole_tree() -> None:
    with Watch({"us": os.getpid()}) as watch:
        watch.look()
    assert watch.peak_mb >= watch.peaks_mb["us"] > 1
    assert os.getpid() in {process.pid for process in trees([os.getpid()])[os.getpid()]}


def test_one_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    with Crew(tmp_path) as crew:
        crew.start("loop", [sys.executable, "-c", "import sys; print('no such letter'); sys.exit(3)"])
        with pytest.raises(BenchmarkError, match=r"loop ended with 3\n    no such letter"):
            crew.until_over("loop")


def test_waiting_for_what_does_not_come_is_told(tmp_path: Path) -> None:
    with Crew(tmp_path) as crew, pytest.raises(BenchmarkError, match="the sink listens: not within 0 s"):
        crew.until(lambda: False, "the sink listens", seconds=0)

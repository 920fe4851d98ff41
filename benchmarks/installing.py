"""Programs of others, installed once into the cache by their own package managers."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks.crew import BenchmarkError


def installed(result: Path, *steps: Sequence[str], folder: Path | None = None) -> None:
    """Run the steps unless their result is there. Raises `BenchmarkError` with the words of one that fails."""
    if result.exists():
        return
    for step in steps:
        try:
            # Package managers, without a shell.
            done = subprocess.run(  # noqa: S603 (our own commands)
                step, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
            )
        except FileNotFoundError as error:
            raise BenchmarkError(f"{step[0]} is not installed") from error
        if done.returncode:
            raise BenchmarkError(f"{' '.join(step)} failed:\n{(done.stderr or done.stdout)[-1000:]}")

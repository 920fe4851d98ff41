"""python -m benchmarks: the contest, and the other measurements."""

import argparse
import json
import os
import platform
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.crew import BenchmarkError
from benchmarks.ground import Ground

_EPILOG = """\
examples:
  python -m benchmarks                                  the contest: ours, the peers, the limits
  python -m benchmarks --peers bullmq,arq --rounds 3    against two of them
  python -m benchmarks stages --messages 100000         each stage of ours alone
  python -m benchmarks latency                          one message, idle workers
  python -m benchmarks delay --ms 20                    a mail server that is far away
  python -m benchmarks scaling                          more connections, more processes
  python -m benchmarks growth --messages 1000000        does it stay as fast and as small?
"""

MESSAGES = {"latency": 200, "growth": 1_000_000}
"""Where the default is another."""


def main() -> int:
    """Measure. 1 when something could not be measured, 130 when interrupted; nothing is left running."""
    asked = _parser().parse_args()
    asked.messages = asked.messages or MESSAGES.get(asked.measurement, 20_000)
    # What ends us ends the processes that we started, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        measured, text = _MEASUREMENTS[asked.measurement](asked)
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if asked.json:
        print(json.dumps({"machine": machine(), "asked": vars(asked), **measured}, indent=2))
    else:
        print(f"\n{describe(asked)}\n\n{text}")
    return 0


def tell(words: str) -> None:
    """Progress, on stderr."""
    print(words, file=sys.stderr, flush=True)


def machine() -> dict[str, Any]:
    """Where this is measured, and how busy it was."""
    cpu = platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [line for line in information.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].partition(":")[2].strip() if names else cpu
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def describe(asked: argparse.Namespace) -> str:
    """The head of a table."""
    here = machine()
    # Scaling goes through numbers of its own.
    workers = (
        f" · {asked.processes} processes × {asked.connections} connections" if asked.measurement != "scaling" else ""
    )
    return (
        f"{here['date']} · {here['cpu']}, {here['cores']} cores, load {here['load']:.1f} at the end · "
        f"Python {here['python']}\n{asked.messages:,} messages of {asked.size:,} B{workers} · "
        f"appendfsync {asked.durability}"
    )


def size(text: str) -> int:
    """`20KB`, `1MB`, or bytes."""
    from mailer.vocabulary.quantity import parse_size

    return parse_size(text)


def ground(asked: argparse.Namespace, **changes: Any) -> Ground:
    """What the options ask for."""
    settings = {
        "messages": asked.messages,
        "size": asked.size,
        "connections": asked.connections,
        "processes": asked.processes,
        "durability": asked.durability,
    }
    return Ground(**(settings | changes))


def run_contest(asked: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Ours, the peers, the limits."""
    from benchmarks import ours, peers
    from benchmarks.contest import Result, contest
    from benchmarks.ground import cache_folder
    from benchmarks.table import contest_document, contest_table

    others = {runner.name: runner for runner in peers.runners()}
    names = asked.peers.split(",") if asked.peers is not None else list(others)
    if unknown := {name for name in names if name} - others.keys():
        raise BenchmarkError(f"no peer {', '.join(sorted(unknown))}; there are: {', '.join(others)}")
    chosen = [*ours.RUNNERS, *(others[name] for name in names if name)]
    with ground(asked) as there:
        absent = {}
        for runner in chosen:
            try:
                runner.install(cache_folder())
            except BenchmarkError as error:
                absent[runner.name] = Result(runner=runner, trouble=str(error))
        ready = [runner for runner in chosen if runner.name not in absent]
        results = contest(there, ready, rounds=asked.rounds, limit_s=asked.limit, tell=tell)
    results += absent.values()
    return {"contest": contest_document(results)}, contest_table(results)


def run_stages(asked: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Each stage of ours."""
    from benchmarks.stages import stages, stages_table

    with ground(asked) as there:
        found = stages(there, rounds=asked.rounds, tell=tell)
    return {"stages": found.document()}, stages_table(found)


def run_latency(asked: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """One message at a time."""
    from benchmarks.latency import latency, latency_table

    with ground(asked) as there:
        found = latency(there)
    return {"latency": found}, latency_table(found)


def run_growth(asked: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """A long list."""
    from benchmarks.growth import growth, growth_table

    with ground(asked) as there:
        found = growth(there, tell)
    return {"growth": found.document()}, growth_table(found)


def run_delay(asked: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """A sink that is far away."""
    from benchmarks.delay import delay, delay_table

    asked.processes = 1
    found = delay(lambda **changes: ground(asked, **changes), asked.ms, asked.limit, tell)
    return {"delay": found}, delay_table(found)


def run_scaling(asked: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """More connections, more processes."""
    from benchmarks.scaling import scaling, scaling_table

    found = scaling(lambda **changes: ground(asked, **changes), tell)
    return {"scaling": found}, scaling_table(found)


_MEASUREMENTS: dict[str, Callable[[argparse.Namespace], tuple[dict[str, Any], str]]] = {
    "contest": run_contest,
    "stages": run_stages,
    "latency": run_latency,
    "growth": run_growth,
    "delay": run_delay,
    "scaling": run_scaling,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m benchmarks",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("measurement", nargs="?", choices=list(_MEASUREMENTS), default="contest")
    parser.add_argument("--messages", type=int, metavar="N", help="default 20000; latency 200, growth 1000000")
    parser.add_argument("--size", type=size, default=size("20KB"), metavar="20KB", help="of a finished message")
    parser.add_argument("--rounds", type=int, default=3, help="of the contest and of the stages, default 3")
    parser.add_argument("--peers", metavar="A,B", help="of the contest; default all, an empty text none")
    parser.add_argument("--durability", choices=("everysec", "always"), default="everysec", help="appendfsync")
    parser.add_argument("--processes", type=int, default=1, help="worker processes, of the peers too; default 1")
    parser.add_argument("--connections", type=int, default=20, help="of each process; default 20")
    parser.add_argument(
        "--limit", type=float, default=30.0, metavar="S", help="stop a runner after so long; default 30"
    )
    parser.add_argument("--ms", type=float, default=20.0, help="of delay: the round trip; default 20")
    parser.add_argument("--json", action="store_true", help="all figures, for programs")
    return parser


if __name__ == "__main__":
    sys.exit(main())

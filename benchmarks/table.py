"""Tables of plain text, as they stand in a terminal and in a Markdown file."""

from collections.abc import Sequence
from typing import Any

from benchmarks.contest import Result


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, aligned; the first column to the left, the others to the right."""
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]
    lines = [_line(head, widths), _rule(widths), *(_line(row, widths) for row in rows)]
    return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (
        cell.ljust(width) if place == 0 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return f"| {' | '.join([first, *others])} |"


def _rule(widths: Sequence[int]) -> str:
    first, *others = widths
    return f"| {' | '.join(['-' * first, *('-' * (width - 1) + ':' for width in others)])} |"


def number(value: float) -> str:
    """Three figures that mean something: 12,345, 123, 12.3, 1.23."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


def contest_table(results: Sequence[Result]) -> str:
    """Everybody's figures, what others took of the machine, and how many times as fast the first one is."""
    head = ("", "msg/s", "at the sink", "CPU µs/msg", "of it queue", "memory MB", "others", "first : this")
    ours = next((result for result in results if result.laps), None)
    rows = []
    for result in results:
        if not result.laps:
            rows.append((result.runner.name, *["–"] * (len(head) - 1)))
            continue
        name = f"{result.runner.name} (a limit)" if result.runner.is_limit else result.runner.name
        mark = "" if all(lap.is_whole for lap in result.laps) else "*"
        rate = result.middle(lambda lap: lap.rate)
        rows.append(
            (
                name + mark,
                number(rate),
                number(result.middle(lambda lap: lap.steady_rate)),
                number(result.middle(lambda lap: lap.cpu_us)),
                number(result.middle(lambda lap: 1e6 * lap.queue_cpu_s / lap.messages)),
                number(result.middle(lambda lap: lap.peak_mb)),
                f"{result.middle(lambda lap: lap.disturbance):.0%}",
                f"{_first_rate(ours) / rate:.2f}" if ours else "–",
            )
        )
    notes = [f"{result.runner.name}: {result.trouble}" for result in results if result.trouble]
    if any(not lap.is_whole for result in results for lap in result.laps):
        notes.insert(0, "* stopped before the end of the list; the rate is that of what came to the sink until then")
    return "\n".join([table(head, rows), *(["", *notes] if notes else [])])


def _first_rate(result: Result) -> float:
    return result.middle(lambda lap: lap.rate)


def contest_document(results: Sequence[Result]) -> list[dict[str, Any]]:
    """The same for programs, lap by lap."""
    return [
        {
            "name": result.runner.name,
            "what": result.runner.what,
            "is_limit": result.runner.is_limit,
            "trouble": result.trouble or None,
            "laps": [
                {
                    "messages": lap.messages,
                    "is_whole": lap.is_whole,
                    "seconds": lap.seconds,
                    "rate": lap.rate,
                    "steady_rate": lap.steady_rate,
                    "cpu_us": lap.cpu_us,
                    "queue_cpu_us": 1e6 * lap.queue_cpu_s / lap.messages,
                    "peak_mb": lap.peak_mb,
                    "disturbance": lap.disturbance,
                }
                for lap in result.laps
            ],
        }
        for result in results
    ]

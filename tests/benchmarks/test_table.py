"""The table: one line for everybody, the ratio to the first, and who is missing."""

import pytest

from benchmarks.contest import Lap, Result
from benchmarks.course import Runner, nothing
from benchmarks.table import contest_document, contest_table, number, table


def runner(name: str, *, is_limit: bool = False) -> Runner:
    return Runner(name=name, what="something", go=nothing, is_limit=is_limit)


def lap(seconds: float, *, is_whole: bool = True) -> Lap:
    return Lap(
        messages=1000,
        seconds=seconds,
        steady_rate=2000.0,
        cpu_s=0.5,
        queue_cpu_s=0.1,
        peak_mb=64.0,
        disturbance=0.25,
        is_whole=is_whole,
    )


@pytest.mark.parametrize(
    ("value", "words"), [(12345.6, "12,346"), (123.4, "123"), (12.34, "12.3"), (1.234, "1.23"), (0.0, "0.00")]
)
def test_a_number_has_three_figures_that_mean_something(value: float, words: str) -> None:
    assert number(value) == words


def test_a_table_is_aligned_and_is_markdown() -> None:
    assert table(("", "msg/s"), [("ours", "1,000"), ("a peer", "7")]).splitlines() == [
        "|        | msg/s |",
        "| ------ | ----: |",
        "| ours   | 1,000 |",
        "| a peer |     7 |",
    ]


def test_ratios_are_those_of_the_medians_of_this_run() -> None:
    """One round that was disturbed changes nothing."""
    ours = Result(runner=runner("ours"), laps=(lap(1.0), lap(90.0), lap(1.0)))
    peer = Result(runner=runner("peer"), laps=(lap(4.0), lap(4.0), lap(0.1)))
    lines = contest_table([ours, peer]).splitlines()
    assert [line.split("|")[-2].strip() for line in lines[2:]] == ["1.00", "4.00"]


def test_cpu_time_is_told_for_a_message_and_that_of_strangers_as_a_share() -> None:
    cells = [cell.strip() for cell in contest_table([Result(runner=runner("ours"), laps=(lap(1.0),))]).split("|")]
    assert {"500", "100"} <= set(cells)
    assert "25%" in cells


def test_who_could_not_run_is_told_with_the_reason() -> None:
    text = contest_table(
        [
            Result(runner=runner("ours"), laps=(lap(1.0),)),
            Result(runner=runner("bullmq"), trouble="npm is not installed"),
        ]
    )
    assert "bullmq: npm is not installed" in text


def test_who_was_stopped_and_who_is_a_limit_is_marked() -> None:
    text = contest_table(
        [
            Result(runner=runner("ours"), laps=(lap(1.0),)),
            Result(runner=runner("slow"), laps=(lap(1.0, is_whole=False),)),
            Result(runner=runner("bare", is_limit=True), laps=(lap(1.0),)),
        ]
    )
    assert "| slow* " in text
    assert "* stopped before the end of the list" in text
    assert "| bare (a limit) " in text


def test_the_document_has_every_lap() -> None:
    (ours,) = contest_document([Result(runner=runner("ours"), laps=(lap(1.0), lap(2.0)))])
    assert [one["rate"] for one in ours["laps"]] == [1000.0, 500.0]
    assert ours["trouble"] is None

"""What the sink has counted is read from what smtp-sink writes; the letter has the size that was asked for."""

from pathlib import Path

import pytest

from benchmarks import letter
from benchmarks.by_the_book import Book, constant, rows
from benchmarks.crew import BenchmarkError
from benchmarks.sink import APT, Sink, read_count


@pytest.mark.parametrize(
    ("written", "count"),
    [
        (b"", 0),
        (b"sess=0 quit=0 mesg=1\r", 1),
        (b"sess=0 quit=0 mesg=1\rsess=1 quit=1 mesg=1\r", 1),
        (b"sess=0 quit=0 mesg=41\rsess=0 quit=0 mesg=4", 41),
        (b"sess=0 quit=0 mesg=41\rsess=", 41),
        (b"sess=0 quit=0 mesg=9\r" * 1000 + b"sess=7 quit=7 mesg=1234567\r", 1234567),
    ],
)
def test_the_count_is_the_last_one_written(tmp_path: Path, written: bytes, count: int) -> None:
    counters = tmp_path / "counters"
    counters.write_bytes(written)
    assert read_count(counters) == count


@pytest.mark.parametrize("size", [5_000, 20_000, 100_000])
def test_a_message_has_the_size_that_was_asked_for(tmp_path: Path, size: int) -> None:
    """To a tenth: bytes of the finished message."""
    letter.write(tmp_path, messages=1, size=size)
    assert len(constant(tmp_path)) == pytest.approx(size, rel=0.1)


def test_everybody_reads_the_same_people_in_every_run(tmp_path: Path) -> None:
    letter.write(tmp_path, messages=50, size=2000)
    people = list(rows(tmp_path))
    assert len({row["email"] for row in people}) == 50
    assert [tuple(row.values()) for row in people] == list(letter.people(50))


def test_the_letter_is_the_persons_own(tmp_path: Path) -> None:
    letter.write(tmp_path, messages=2, size=2000)
    first, second = rows(tmp_path)
    message = Book(tmp_path).message(second)
    text, html = (part.get_content() for part in message.iter_parts())
    assert second["code"] in text
    assert second["code"] in html
    assert first["code"] not in html


def test_a_missing_sink_is_told_with_the_line_that_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("benchmarks.sink.PLACES", str(tmp_path))
    with pytest.raises(BenchmarkError, match="smtp-sink is not installed") as raised:
        Sink(tmp_path)
    assert APT in str(raised.value)

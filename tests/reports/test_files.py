import io
import json
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailer.reports.document import report_document
from mailer.reports.files import save, whole
from mailer.reports.listing import Row
from mailer.vocabulary.errors import UsageError
from tests.reports.writing import write_csv, write_html, write_whole
from tests.thorough import first

from .samples import NEXT_TRY, REPORT, ROWS

FULL_DISK = """
import resource, signal, sys
from itertools import cycle
from mailer.reports.files import save
from mailer.vocabulary.errors import UsageError
from tests.reports.samples import REPORT, ROWS
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    save(REPORT, cycle(ROWS), sys.argv[1], sys.argv[2:])
except UsageError as error:
    print(error.code, error.where)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_report_is_saved_in_every_form_that_was_asked_for(tmp_path: Path) -> None:
    paths = save(REPORT, ROWS, tmp_path / "new" / "folder", ("html", "csv", "json", "jsonl"), next_try=NEXT_TRY)

    assert [path.name for path in paths] == ["report.html", "report.csv", "report.json", "report.jsonl"]
    page, csv = io.StringIO(), io.StringIO(newline="")
    write_html(REPORT, ROWS, page, next_try=NEXT_TRY)
    write_csv(ROWS, csv)
    assert paths[0].read_text() == page.getvalue()
    assert paths[1].read_bytes().decode() == csv.getvalue()
    assert json.loads(paths[2].read_text()) == report_document(REPORT)
    assert len(paths[3].read_text().splitlines()) == len(ROWS)
    assert names(tmp_path / "new" / "folder") == sorted(path.name for path in paths)


def test_one_pass_over_the_rows_fills_every_file(tmp_path: Path) -> None:
    only_once: Iterator[Row] = iter(ROWS)
    save(REPORT, only_once, tmp_path, ("csv", "jsonl", "html"))

    assert len((tmp_path / "report.jsonl").read_text().splitlines()) == len(ROWS)
    assert len((tmp_path / "report.csv").read_text().splitlines()) == len(ROWS) + 1
    assert "bounce+550-3@mail.example" in (tmp_path / "report.html").read_text()


def test_only_the_owner_can_read_a_report(tmp_path: Path) -> None:
    old = tmp_path / "report.csv"
    old.write_text("old")
    old.chmod(0o644)
    save(REPORT, ROWS, tmp_path, ("csv", "html"))

    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_until_a_file_is_complete_the_one_before_it_stays(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    path.write_text("before")

    def writer(stream: io.TextIOBase) -> None:
        stream.write("after" * 100_000)
        stream.flush()
        assert path.read_text() == "before"

    write_whole(path, writer)  # type: ignore[arg-type]  # any text stream will do

    assert path.read_text() == "after" * 100_000


@pytest.mark.parametrize("trouble", [KeyboardInterrupt, ConnectionResetError, RuntimeError])
def test_rows_that_stop_coming_leave_no_file_and_keep_their_own_error(
    tmp_path: Path, trouble: type[BaseException]
) -> None:
    (tmp_path / "report.csv").write_text("before")

    def rows() -> Iterator[Row]:
        yield from ROWS
        raise trouble("the rows")

    with pytest.raises(trouble, match="the rows"):
        save(REPORT, rows(), tmp_path, ("csv", "html"))

    assert names(tmp_path) == ["report.csv"]
    assert (tmp_path / "report.csv").read_text() == "before"


@pytest.mark.parametrize("form", first(1, ["html", "csv", "jsonl"]))
def test_a_full_disk_is_an_error_that_names_the_path_and_leaves_no_half_file(tmp_path: Path, form: str) -> None:
    (tmp_path / f"report.{form}").write_text("before")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FULL_DISK, str(tmp_path), form, "json"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (done.stdout, done.stderr) == (f"E112 {tmp_path}/report.{form}\n", "")
    assert names(tmp_path) == [f"report.{form}"]
    assert (tmp_path / f"report.{form}").read_text() == "before"


def test_a_folder_that_vanished_is_an_error_that_names_the_path(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught, whole(tmp_path / "gone" / "report.csv"):
        pass

    assert caught.value.code == "E112"
    assert caught.value.where == str(tmp_path / "gone" / "report.csv")
    assert "No such file or directory" in str(caught.value)


def test_a_folder_that_vanishes_while_rows_are_written_is_an_error_too(tmp_path: Path) -> None:
    folder = tmp_path / "short"

    def rows() -> Iterator[Row]:
        yield from ROWS
        shutil.rmtree(folder)

    with pytest.raises(UsageError, match="No such file or directory"):
        save(REPORT, rows(), folder, ["csv"])


@pytest.mark.parametrize("name", ["a-folder", "/dev/null"])
def test_a_report_never_takes_the_place_of_something_that_is_not_a_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "a-folder").mkdir()

    with pytest.raises(UsageError, match="not a file"):
        write_whole(tmp_path / name, lambda stream: stream.write("x"))


def test_a_form_that_does_not_exist_is_named_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="xlsx") as caught:
        save(REPORT, ROWS, tmp_path / "out", ("csv", "xlsx"))

    assert caught.value.hint == "one of: html, csv, json, jsonl"
    assert not (tmp_path / "out").exists()


def test_a_damaged_cell_does_not_cost_the_report(tmp_path: Path) -> None:
    write_whole(tmp_path / "report.txt", lambda stream: stream.write("damaged \udcff cell"))

    assert (tmp_path / "report.txt").read_text() == "damaged \\udcff cell"

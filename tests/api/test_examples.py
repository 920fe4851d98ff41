"""The examples run as they are, each as a process of its own, against the capture server."""

import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from email.message import EmailMessage
from pathlib import Path

import pytest

from mailer.capture.server import CaptureServer
from mailer.testing import Outbox
from tests.cli.running import Warm

Run = Callable[..., str]
ROOT = Path(__file__).parent.parent.parent
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.py"))
NAMED = {"body.txt.j2": "Dear {{ name or 'reader' }},\n", "subject.txt.j2": "Autumn\n"}
"""A template that needs the columns of `docs/scripts.md`."""


@pytest.fixture
def run(tmp_path: Path, warm: Warm) -> Run:
    """Run one of the examples, or a script elsewhere, in the folder of the test; gives what it printed."""

    def run(script: str | Path, *arguments: str) -> str:
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(tmp_path / "config")}
        code, out, err = warm.run([str(ROOT / "examples" / script), *arguments], tmp_path, environ)
        assert (code, err) == (0, "")
        return out

    return run


@pytest.fixture
def run_twice(run: Run, smtp_capture: CaptureServer) -> Run:
    """Run an example once and once more: the second time nobody gets anything. Gives what it printed first."""

    def run_twice(script: str | Path, *arguments: str) -> str:
        said = run(script, *arguments)
        accepted = smtp_capture.mailbox.accepted
        run(script, *arguments)
        assert smtp_capture.mailbox.accepted == accepted > 0
        return said

    return run_twice


def attached(message: EmailMessage) -> list[tuple[str | None, bytes]]:
    """Name and content of what a message carries."""
    parts = [part for part in message.walk() if part.get_filename()]
    return [(part.get_filename(), bytes(part.get_payload(decode=True))) for part in parts]


def test_every_example_is_on_their_page_and_among_these_tests() -> None:
    page = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"\]\((\w+\.py)\)", page)) == EXAMPLES
    assert sorted(set(re.findall(r'run_twice\(\s*"(\w+\.py)"', Path(__file__).read_text()))) == EXAMPLES


@pytest.mark.thorough
def test_a_newsletter_marks_addresses_that_do_not_exist_any_more(
    run_twice: Run, tmp_path: Path, smtp_capture: CaptureServer, outbox: Outbox
) -> None:
    with closing(sqlite3.connect(tmp_path / "people.sqlite")) as database:
        out = run_twice("newsletter_from_database.py", "people.sqlite")
        active = database.execute("select email from subscribers where active = 1 order by email").fetchall()
    assert "Delivery report  autumn-issue-" in out
    assert "bounce+550@example.com 550 5.1.1" in out
    assert active == [("ann@example.com",), ("bob@example.com",)]
    assert {str(message["List-Unsubscribe"]) for message in outbox} == {
        "<https://news.acme.example/unsubscribe/k7f3>",
        "<https://news.acme.example/unsubscribe/p2mc>",
    }


@pytest.mark.thorough
def test_each_customer_gets_his_own_invoice(
    run_twice: Run, tmp_path: Path, smtp_capture: CaptureServer, outbox: Outbox
) -> None:
    assert "sent" in run_twice("invoices.py")
    by_customer = {str(message["To"]): message for message in outbox}
    for customer, number, name in (
        ("ap@north.example", "2026-117", "North Ltd"),
        ("hi@south.example", "2026-118", "South Inc"),
    ):
        message = by_customer[customer]
        assert message["Subject"] == f"Invoice {number} for {name}"
        ((file, content),) = attached(message)
        assert file == f"{number}.pdf"
        assert content.startswith(b"%PDF-")
        assert f"Invoice {number}".encode() in content
        # Where a reader finds the table of the objects.
        assert content[int(content.split()[-2]) :].startswith(b"xref\n")


@pytest.mark.thorough
def test_an_asynchronous_script_hears_refusals_and_saves_its_report(
    run_twice: Run, tmp_path: Path, smtp_capture: CaptureServer
) -> None:
    out = run_twice("async_script.py", "out")
    assert out.splitlines()[0].startswith("bounce+550-members@example.com 550 5.1.1")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report.csv", "report.html", "report.json"]
    assert smtp_capture.mailbox.accepted == 30


@pytest.mark.thorough
def test_an_order_is_confirmed_once_however_often_the_browser_sends_it(
    run_twice: Run, tmp_path: Path, smtp_capture: CaptureServer, outbox: Outbox
) -> None:
    out = run_twice("transactional.py").splitlines()
    assert out[0] == "the same message"
    assert out[1].endswith("finished 1 sent")
    assert [(message["To"], message["Subject"]) for message in outbox] == [("Ann <ann@example.com>", "Your order 4711")]


@pytest.mark.thorough
def test_a_letter_in_one_file_goes_out_with_copies_and_attachments(
    run_twice: Run, tmp_path: Path, smtp_capture: CaptureServer, outbox: Outbox
) -> None:
    assert "4 accepted + 0 invalid + 0 duplicate = 4 rows" in run_twice("letter.py")
    texts = {}
    for message in outbox:
        assert message["Cc"] == "office@acme.example"
        ((file, content),) = attached(message)
        assert file == "directions.txt"
        texts[str(message["To"]).rpartition("<")[2]] = content.decode()
    assert texts["bob@example.com>"].startswith("Take the S1")
    assert texts["zoe@example.com>"].startswith("Mit der S1")


def scripts() -> list[str]:
    """Those of the page about sending from a program; one block is a test, which needs a project around it."""
    page = (ROOT / "docs" / "scripts.md").read_text(encoding="utf-8")
    blocks: list[str] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    return [block for block in blocks if "def test_" not in block]


@pytest.mark.thorough
@pytest.mark.parametrize("script", scripts())
def test_the_examples_of_the_page_about_scripts_run(
    run: Run, tmp_path: Path, smtp_capture: CaptureServer, script: str
) -> None:
    furnish(tmp_path)
    (tmp_path / "mailer.toml").write_text(
        '[campaign]\ntemplate = "invoice"\nsender = "a@acme.example"\nrecipients = "customers.csv"\n'
    )
    (tmp_path / "script.py").write_text(script)
    with closing(sqlite3.connect(tmp_path / "people.sqlite")) as database:
        database.execute("create table subscribers (email text, name text, active integer)")
        database.execute("insert into subscribers values ('ann@example.com', 'Ann', 1)")
        database.commit()
    run(tmp_path / "script.py")
    # The lists have one row, and a test goes to the tester.
    assert smtp_capture.mailbox.accepted == (2 if "test_to" in script else 1)


def test_the_readme_shows_a_script_that_runs(run: Run, tmp_path: Path, smtp_capture: CaptureServer) -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("\n### From Python\n")[1].split("\n## ")[0]
    furnish(tmp_path)
    (tmp_path / "script.py").write_text(section.split("```python\n")[1].split("```")[0])
    assert "Delivery report" in run(tmp_path / "script.py")


def furnish(folder: Path) -> None:
    """What a script of the pages finds in its folder: two templates, and a list."""
    (folder / "templates" / "newsletter").mkdir(parents=True)
    for name, text in NAMED.items():
        (folder / "templates" / "newsletter" / name).write_text(text)
    shutil.copytree(ROOT / "templates" / "invoice", folder / "templates" / "invoice")
    (folder / "customers.csv").write_text("email,company,number,amount,due\nap@north.example,North,117,120,1 Dec\n")

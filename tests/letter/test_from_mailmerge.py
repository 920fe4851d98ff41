"""`mailer init --from-mailmerge`: what becomes of mailmerge's files."""

import tomllib
from pathlib import Path

import pytest

from mailer.cli.from_mailmerge import files_from_mailmerge
from mailer.policy.smtp_url import parse_smtp_url
from mailer.vocabulary.errors import UsageError
from mailer.vocabulary.quantity import parse_rate

SAMPLE = Path(__file__).parent / "mailmerge" / "sample"


def folder_with(
    folder: Path, server: str | None, template: str = "TO: {{email}}\nFROM: a@acme.example\n\nHi\n"
) -> Path:
    (folder / "mailmerge_template.txt").write_text(template)
    (folder / "mailmerge_database.csv").write_text("email\na@example.com\n")
    if server is not None:
        (folder / "mailmerge_server.conf").write_text(server)
    return folder


def tables(folder: Path) -> dict[str, dict[str, str]]:
    files = files_from_mailmerge(folder)
    assert list(files) == ["mailer.toml"]
    return tomllib.loads(files["mailer.toml"])


def test_the_sample_of_mailmerge_becomes_a_campaign() -> None:
    """Template and list are used as they are, every row is sent, and the relay is mailmerge's."""
    assert tables(SAMPLE) == {
        "campaign": {
            "name": "sample",
            "template": "mailmerge_template.txt",
            "recipients": "mailmerge_database.csv",
            "duplicates": "keep",
        },
        "smtp": {"url": "smtps://YOUR_USERNAME_HERE@smtp.gmail.com:465"},
    }


@pytest.mark.parametrize(
    ("lines", "url"),
    [
        (
            "port = 587\nsecurity = STARTTLS\nusername = news@acme.example",
            "smtp+starttls://news%40acme.example@smtp.acme.example:587",
        ),
        ("port = 465\nsecurity = SSL/TLS\nusername = a:b/c@d", "smtps://a%3Ab%2Fc%40d@smtp.acme.example:465"),
        ("port = 25\nsecurity = PLAIN\nusername = news", "smtp+insecure://smtp.acme.example:25"),
        ("port = 25\nsecurity = Never\nusername = news", "smtp+insecure://smtp.acme.example:25"),
        ("port = 25", "smtp+insecure://smtp.acme.example:25"),
        ("port = 587\nsecurity = XOAUTH\nusername = news", "smtp+starttls://news@smtp.acme.example:587"),
    ],
)
def test_security_becomes_the_scheme_of_the_url(tmp_path: Path, lines: str, url: str) -> None:
    """User names are percent-encoded, and none goes with clear text."""
    found = tables(folder_with(tmp_path, f"[smtp_server]\nhost = smtp.acme.example\n{lines}\n"))["smtp"]["url"]
    assert found == url
    parse_smtp_url(found)


def test_what_cannot_be_taken_over_is_said(tmp_path: Path) -> None:
    """A login in clear text, and OAuth."""
    server = "[smtp_server]\nhost = h.example\nport = 25\nsecurity = PLAIN\nusername = news\n"
    assert (
        "mailmerge logged in as news in clear text"
        in files_from_mailmerge(folder_with(tmp_path, server))["mailer.toml"]
    )
    server = server.replace("PLAIN", "XOAUTH")
    assert "OAuth" in files_from_mailmerge(folder_with(tmp_path, server))["mailer.toml"]


@pytest.mark.parametrize(("ratelimit", "rate"), [("0", None), ("50", "50/min")])
def test_the_rate_limit_is_per_minute(tmp_path: Path, ratelimit: str, rate: str | None) -> None:
    """mailmerge's 0 is no limit."""
    folder = folder_with(tmp_path, f"[smtp_server]\nhost = h.example\nport = 25\nratelimit = {ratelimit}\n")
    found = tables(folder).get("delivery", {}).get("rate")
    assert found == rate
    assert rate is None or parse_rate(rate).messages == 50


def test_without_a_server_file_the_relay_is_left_open(tmp_path: Path) -> None:
    """The line to fill in is there as a remark."""
    assert tables(folder_with(tmp_path, None))["smtp"] == {}


def test_a_from_that_varies_is_said(tmp_path: Path) -> None:
    """The reverse-path needs a setting then."""
    folder = folder_with(tmp_path, None, "TO: {{email}}\nFROM: {{ agent }}@acme.example\n\nHi\n")
    assert "# sender =" in files_from_mailmerge(folder)["mailer.toml"]


def test_a_folder_without_mailmerges_files_is_told(tmp_path: Path) -> None:
    """E108 names the file that is missing, and what there is."""
    with pytest.raises(UsageError, match=r"mailmerge_template\.txt is missing") as caught:
        files_from_mailmerge(tmp_path)
    assert caught.value.code == "E108"
    assert "no file of mailmerge's" in str(caught.value.why)
    (tmp_path / "mailmerge_database.csv").write_text("email\n")
    with pytest.raises(UsageError) as caught:
        files_from_mailmerge(tmp_path)
    assert "only mailmerge_database.csv" in str(caught.value.why)


@pytest.mark.parametrize(
    "server",
    [
        "",
        "host = h.example\nport = 25\n",
        "[smtp_server]\nport = 25\n",
        "[smtp_server]\nhost = h.example\n",
        "[smtp_server]\nhost = h.example\nport = many\n",
        "[smtp_server]\nhost = h.example\nport = 25\nsecurity = TLSv9\n",
        "[smtp_server]\nhost = h.example/x\nport = 25\n",
        "[smtp_server]\nhost = h.example\nport = 99999\n",
        "[smtp_server]\nhost = h.example\nport = 25\nratelimit = fast\n",
    ],
)
def test_a_broken_server_file_is_told(tmp_path: Path, server: str) -> None:
    """E101 with the file's name and a way to mend it."""
    with pytest.raises(UsageError, match=r"mailmerge_server\.conf") as caught:
        files_from_mailmerge(folder_with(tmp_path, server))
    assert caught.value.code == "E101"
    assert caught.value.hint is not None

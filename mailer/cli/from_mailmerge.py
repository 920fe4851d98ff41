"""`mailer init --from-mailmerge`: a mailer.toml that sends mailmerge's own files as they are."""

import json
from collections.abc import Iterator
from pathlib import Path

from mailer.cli.init import campaign_name
from mailer.config.mailmerge import read_mailmerge_server
from mailer.policy.letter.header_section import written_header, written_values
from mailer.vocabulary.errors import UsageError

TEMPLATE, DATABASE, SERVER = "mailmerge_template.txt", "mailmerge_database.csv", "mailmerge_server.conf"
"""What mailmerge calls its files unless it is told otherwise."""

_CAMPAIGN_FILE = "mailer.toml"


def files_from_mailmerge(folder: Path) -> dict[str, str]:
    """The files to write beside mailmerge's, name to content; mailmerge's own are left as they are.

    Raises:
        UsageError: E108 there is nothing of mailmerge's in the folder, or a file cannot be read; E101 its server file
            does not name a mail server.
    """
    found = [name for name in (TEMPLATE, DATABASE, SERVER) if (folder / name).is_file()]
    if TEMPLATE not in found:
        here = f"there is only {' and '.join(found)}" if found else "there is no file of mailmerge's"
        raise UsageError(
            "E108",
            f"{folder / TEMPLATE} is missing",
            why=f"In {folder.absolute()} {here}.",
            hint=f"name the folder that has {TEMPLATE}, {DATABASE} and {SERVER}",
        )
    lines = [*_campaign(folder, found), *(_server(folder / SERVER) if SERVER in found else _no_server())]
    return {_CAMPAIGN_FILE: "\n".join(lines) + "\n"}


def _campaign(folder: Path, found: list[str]) -> Iterator[str]:
    yield "# Sends mailmerge's files as they are:   mailer check   and then   mailer send"
    yield ""
    yield "[campaign]"
    yield f"name = {_text(campaign_name(folder))}"
    yield f"template = {_text(TEMPLATE)}"
    if DATABASE in found:
        yield f"recipients = {_text(DATABASE)}"
    else:
        yield '# recipients = "recipients.csv"   # the list, with its column names in the first line'
    if "{" in "".join(_senders(folder / TEMPLATE)):
        yield '# sender = "Acme News <news@acme.example>"   # where bounces go: From differs from row to row'
    yield 'duplicates = "keep"   # as mailmerge does: every row is sent, "first" sends one to each address'


def _server(path: Path) -> Iterator[str]:
    server = read_mailmerge_server(path)
    yield ""
    yield "[smtp]"
    if server.remark is not None:
        yield f"# {server.remark}"
    yield f"url = {_text(server.url)}"
    if "@" in server.url:
        yield "# The password: MAILER_SMTP_PASSWORD, MAILER_SMTP_PASSWORD_FILE, or it is asked for."
    if server.per_minute:
        yield ""
        yield "[delivery]"
        yield f"rate = {_text(f'{server.per_minute}/min')}"


def _no_server() -> Iterator[str]:
    yield ""
    yield "[smtp]"
    yield '# url = "smtp+starttls://news%40acme.example@smtp.acme.example:587"'


def _senders(template: Path) -> list[str]:
    try:
        source = template.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError("E108", f"{template} cannot be read", why=error.strerror) from error
    except UnicodeDecodeError as error:
        raise UsageError("E108", f"{template} is not UTF-8") from error
    return written_values(written_header(source), "from")


def _text(text: str) -> str:
    # A basic string of TOML is one of JSON.
    return json.dumps(text, ensure_ascii=False)

"""`mailer init`: a campaign that works as it stands, to be changed into one's own."""

import re
import shlex
import unicodedata
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from mailer.cli.placing import place

if TYPE_CHECKING:
    from mailer.cli.invocation import Invocation

FILES = (
    "mailer.toml",
    "recipients.csv",
    "templates/hello/subject.txt.j2",
    "templates/hello/body.txt.j2",
    "templates/hello/body.html.j2",
    "campaign.py",
)
"""What is written, by its path; the same below `mailer/scaffold`."""
NEXT = (
    ("mailer preview", "look at the message of each row"),
    ("mailer check", "render every row, and say what is wrong"),
    ("mailer doctor", "try the mail server that [smtp] in mailer.toml names"),
    ("mailer send --test-to you@example.com", "the first rows, to your own address only"),
    ("mailer send", "to everybody on the list"),
    ("mailer report", "who got it, and who did not and why"),
)
"""The commands of the next five minutes."""

_LONGEST_NAME = 64


def init(invocation: "Invocation", folder: Path, *, from_mailmerge: bool, force: bool) -> int:
    """Write a campaign into a folder, all of it or nothing, and say how to go on.

    Raises `UsageError`: E135 a file is there already and `force` is not given, E112 the disk does not take them.
    """
    if from_mailmerge:
        from mailer.cli.from_mailmerge import files_from_mailmerge

        texts = files_from_mailmerge(folder)
    else:
        texts = scaffold(campaign_name(folder))
    place(folder, texts, force=force)
    if invocation.as_json:
        invocation.document(folder=str(folder), files=list(texts), next=[command for command, _ in NEXT])
        return 0
    for name in texts:
        invocation.data(str(folder / name))
    _tell_next(invocation, folder)
    return 0


def scaffold(name: str) -> dict[str, str]:
    """The files of a new campaign with this name."""
    source = files("mailer") / "scaffold"
    texts = {path: source.joinpath(path).read_text(encoding="utf-8") for path in FILES}
    given = f'name = "{name}"'
    # The remark behind it stays in its column as long as it can.
    texts["mailer.toml"] = re.sub(
        r'^name = "hello" *#', f"{given:<43} #", texts["mailer.toml"], count=1, flags=re.MULTILINE
    )
    return texts


def campaign_name(folder: Path) -> str:
    """A name for the campaign in this folder: the folder's, in letters, digits and `-`."""
    plain = unicodedata.normalize("NFKD", folder.resolve().name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-")[:_LONGEST_NAME].rstrip("-") or "campaign"


def _tell_next(invocation: "Invocation", folder: Path) -> None:
    steps = list(NEXT)
    if folder.resolve() != Path.cwd():
        steps.insert(0, (f"cd {shlex.quote(str(folder))}", ""))
    width = max(len(command) for command, _ in NEXT)
    lines = [f"  {command:<{width}}   {what}".rstrip() for command, what in steps]
    invocation.say("\n".join(["", "Next:", *lines]))
    invocation.say(
        "\nThere are a newsletter, an invoice and a note to begin with in templates/ of mailer's repository."
    )

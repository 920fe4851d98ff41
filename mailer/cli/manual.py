"""`mailer man`: the manual page, written from the same table of commands as `--help`."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mailer.cli.invocation import Invocation

EXIT_CODES = {
    0: "everything was sent, or the command did what it was asked",
    1: "finished, but some were refused, failed or are in doubt (or it was cancelled)",
    2: "usage or configuration",
    3: "a check failed: bad rows, findings of doctor",
    4: "a service is unreachable, or refuses TLS or the login",
    5: "stopped waiting, work still queued",
    130: "interrupted",
}
EVERYWHERE = {
    "--json": "One JSON document on stdout; an error is one on stderr.",
    "-q, --quiet": "No progress and no advice.",
    "-v, -vv": "More of the log; -vv shows tracebacks.",
    "--no-color": "No colour; NO_COLOR, FORCE_COLOR and TERM=dumb are honoured too.",
    "--env-file FILE": "Variables from a file, behind the environment.",
    "--log-format text|json": "Form of the log on stderr.",
}
ENVIRONMENT = {
    "MAILER_REDIS_URL": "The queue server; without it an embedded one is started.",
    "MAILER_DATA_DIR": "Folder of the embedded server.",
    "MAILER_SMTP_URL, MAILER_SMTP_CA_FILE": "The mail server, and the certificates of an own authority.",
    "MAILER_SMTP_PASSWORD, MAILER_SMTP_PASSWORD_FILE, MAILER_SMTP_PASSWORD_COMMAND": "One of them gives the password.",
    "MAILER_TOKEN_SECRET, MAILER_TOKEN_SECRET_FILE": "The key that {{ token }} is made with.",
    "MAILER_CONFIG": "The user's own settings, instead of ~/.config/mailer/config.toml.",
    "MAILER_<SECTION>__<KEY>": "Any other setting; mailer config show lists them.",
}


def show_manual(invocation: "Invocation") -> int:
    """Print the page: `mailer man | man -l -`."""
    page = manual()
    if invocation.as_json:
        invocation.document(manual=page)
    else:
        invocation.data(page)
    return 0


def manual() -> str:
    """The manual page in the man macros of roff."""
    from typer.main import get_command

    from mailer import __version__
    from mailer.cli.registry import app

    root = get_command(app)
    lines = [
        f'.TH MAILER 1 "" "mailer {__version__}" "User Commands"',
        ".SH NAME",
        r"mailer \- asynchronous, queued, exact bulk mail",
        ".SH SYNOPSIS",
        r".B mailer",
        r"\fICOMMAND\fR [\fIOPTIONS\fR]",
        ".SH COMMANDS",
        *(line for path, command in _commands(root, "mailer") for line in _told(path, command)),
        ".SH OPTIONS OF EVERY COMMAND",
        *_listed(EVERYWHERE),
        ".SH EXIT STATUS",
        *_listed({str(code): meaning for code, meaning in EXIT_CODES.items()}),
        ".SH ENVIRONMENT",
        *_listed(ENVIRONMENT),
        ".SH SEE ALSO",
        "mailer explain CODE tells what an error means and how to mend it.",
    ]
    return "\n".join(lines)


# Any: typer brings a parser of its own whose types are not public.
def _commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if getattr(command, "commands", None):
            yield from _commands(command, f"{path} {name}")
        elif not command.hidden:
            yield f"{path} {name}", command


def _told(path: str, command: Any) -> Iterator[str]:
    example, _, text = command.help.partition("\n\n")
    arguments = " ".join(f"[{p.metavar or p.name.upper()}]" for p in command.params if p.param_type_name == "argument")
    yield f".SS {_roff(f'{path} {arguments}'.strip())}"
    yield _roff(" ".join(text.split()))
    yield ".PP"
    yield _roff(example)
    for parameter in command.params:
        if parameter.help and parameter.name != "help":
            yield from _listed({_names(parameter): parameter.help})


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    value = "" if parameter.is_flag else f" {parameter.metavar or parameter.name.upper()}"
    return ", ".join(parameter.opts) + value


def _listed(meanings: dict[str, str]) -> Iterator[str]:
    for word, meaning in meanings.items():
        yield ".TP"
        yield rf"\fB{_roff(word)}\fR"
        yield _roff(meaning)


def _roff(text: str) -> str:
    """Text that roff takes literally: no escapes, no hyphenation of flags, no line that begins as a request."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    return re.sub(r"^([.'])", r"\\&\1", escaped)

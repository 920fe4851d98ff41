"""How an error reaches a person, or a script: what, where, why, how to mend it, what is safe."""

import sys
import traceback
from typing import Literal

from mailer.cli.invocation import SCHEMA_VERSION, Invocation, written
from mailer.vocabulary.errors import MailerError, QueueError

Kind = Literal["error", "warning"]


def complain(error: MailerError, invocation: Invocation) -> int:
    """Write an error to stderr, as text or as one JSON document. Returns the exit code."""
    if invocation.as_json:
        print(written({"schema_version": SCHEMA_VERSION, "error": error.to_dict()}), file=sys.stderr)
    else:
        for told in getattr(error, "problems", None) or (error,):
            print(told_in_full(told, kind="error", color=invocation.color_live), file=sys.stderr)
        if getattr(error, "problems", None) and error.safe:
            print(f"  {error.safe}", file=sys.stderr)
        print(f"  more: mailer explain {error.code}", file=sys.stderr)
    if invocation.verbosity >= 2:
        traceback.print_exception(error, file=sys.stderr)
    return error.exit_code


def warn(warning: MailerError, invocation: Invocation) -> None:
    """Write what does not end the command to stderr; under `--json` it belongs into the document."""
    text = told_in_full(warning, kind=kind_of(warning), color=invocation.color_live)
    invocation.say(f"{text}\n  more: mailer explain {warning.code}")


def kind_of(error: MailerError) -> Kind:
    """What the code says: W is a warning, and E an error also where the command goes on without some rows (E211)."""
    return "warning" if error.code.startswith("W") else "error"


def server_warning(text: str) -> QueueError:
    """What the look at the queue server found (`W502 appendfsync is not always: …`), to be said like any warning."""
    code, _, said = text.partition(" ")
    what, _, why = said.partition(": ")
    hint = "set both clocks by NTP" if code == "W516" else "mailer doctor --redis   names the setting and the command"
    return QueueError(code, what, why=why or None, hint=hint)


def told_in_full(error: MailerError, *, kind: Kind, color: bool) -> str:
    """The text of an error: every line but the first indented by two."""
    mark = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m"}[kind] if color else ""
    end = "\x1b[0m" if color else ""
    lines = [f"{mark}{kind}[{error.code}]{end}: {error.message}"]
    details = (error.where, error.why, f"fix: {error.hint}" if error.hint else None, error.safe)
    for detail in details:
        if detail:
            lines += [f"  {line}" for line in detail.splitlines()]
    return "\n".join(lines)

"""How an error reaches a person, or a script: what, where, why, how to mend it, what is safe."""

import sys
import traceback

from mailer.cli.invocation import SCHEMA_VERSION, Invocation, written
from mailer.vocabulary.errors import MailerError


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
    """Write a warning to stderr."""
    if not invocation.as_json:
        text = told_in_full(warning, kind="warning", color=invocation.color_live)
        invocation.say(f"{text}\n  more: mailer explain {warning.code}")


def told_in_full(error: MailerError, *, kind: str, color: bool) -> str:
    """The text of an error: every line but the first indented by two."""
    mark = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m"}[kind] if color else ""
    end = "\x1b[0m" if color else ""
    lines = [f"{mark}{kind}[{error.code}]{end}: {error.message}"]
    details = (error.where, error.why, f"fix: {error.hint}" if error.hint else None, error.safe)
    for detail in details:
        if detail:
            lines += [f"  {line}" for line in detail.splitlines()]
    return "\n".join(lines)

"""The command line, and how each command ends: with one of the documented exit codes."""

import asyncio
import signal
from collections.abc import Sequence

import typer

from mailer.cli.commands import campaigns, operation
from mailer.cli.complaints import complain
from mailer.cli.invocation import Invocation, split
from mailer.cli.registry import app
from mailer.vocabulary.errors import MailerError, UsageError

INTERRUPTED = 130

__all__ = ["campaigns", "operation", "run"]


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        invocation, rest = split(arguments)
    except UsageError as error:
        return complain(error, Invocation(as_json="--json" in arguments))
    # A pipe that closes early is no crash of ours.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        code = app(args=rest, prog_name="mailer", standalone_mode=False, obj=invocation)
        return code if isinstance(code, int) else 0
    except MailerError as error:
        return complain(error, invocation)
    except typer.Exit as exit_:
        return exit_.exit_code
    except (KeyboardInterrupt, typer.Abort, asyncio.CancelledError):
        return INTERRUPTED
    except Exception as error:
        return _unforeseen(error, invocation)


def _unforeseen(error: Exception, invocation: Invocation) -> int:
    """Usage errors of the parser, errors of the queue server, and bugs."""
    told = getattr(error, "format_message", None)
    if told is not None:
        return complain(UsageError("E101", told().rstrip("."), hint="mailer --help"), invocation)
    import redis

    if isinstance(error, redis.RedisError):
        from mailer.backends.redis.connection import explained

        try:
            with explained("the queue server's address"):
                raise error
        except MailerError as explained_error:
            return complain(explained_error, invocation)
    if invocation.verbosity >= 2:
        raise error
    bug = UsageError(
        "E199",
        f"unexpected {type(error).__name__}: {error}",
        hint="run it again with -vv and report the traceback: this is a bug of mailer",
        safe="What was accepted stays in the ledger; sending it again sends nothing twice.",
    )
    return complain(bug, invocation)

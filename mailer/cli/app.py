"""The command line, and how each command ends: with one of the documented exit codes."""

import sys
from collections.abc import Sequence

import typer

from mailer.cli import completing
from mailer.cli.commands import campaigns, control, diagnosis, operation
from mailer.cli.complaints import complain
from mailer.cli.invocation import Invocation, split
from mailer.cli.registry import app
from mailer.cli.streams import prepare_streams
from mailer.vocabulary.errors import MailerError, UsageError

INTERRUPTED = 130

__all__ = ["campaigns", "control", "diagnosis", "operation", "run"]


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    prepare_streams()
    invocation = Invocation(as_json="--json" in arguments)
    try:
        invocation, rest = split(arguments)
        code = _run(rest, invocation)
        sys.stdout.flush()
    except MailerError as error:
        return complain(error, invocation)
    return code


def _run(arguments: list[str], invocation: Invocation) -> int:
    if arguments in ([], ["queue"], ["config"], ["dev"], ["suppress"]) and not invocation.as_json:
        arguments = [*arguments, "--help"]
    if completing.is_asked():
        completing.prepare()
    try:
        code = app(args=arguments, prog_name="mailer", standalone_mode=False, obj=invocation)
        return code if isinstance(code, int) else 0
    except MailerError:
        raise
    except typer.Exit as exit_:
        return exit_.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except Exception as error:
        return _unforeseen(error, invocation)


def _unforeseen(error: Exception, invocation: Invocation) -> int:
    """Usage errors of the parser, errors of the queue server, and bugs."""
    told = getattr(error, "format_message", None)
    if told is not None:
        command = getattr(getattr(error, "ctx", None), "command_path", "mailer")
        return complain(UsageError("E101", told().rstrip("."), hint=f"{command} --help"), invocation)
    import redis

    if isinstance(error, redis.RedisError):
        from mailer.backends.redis.connection import explained

        try:
            with explained("the queue server's address"):
                raise error
        except MailerError as explained_error:
            return complain(explained_error, invocation)
    bug = UsageError(
        "E199",
        f"unexpected {type(error).__name__}: {error}",
        hint="run it again with -vv and report the traceback: this is a bug of mailer",
        safe="What was accepted stays in the ledger; sending it again sends nothing twice.",
    )
    bug.__cause__ = error
    return complain(bug, invocation)

"""Asking before many messages go out: yes or no, and above a limit the number has to be typed."""

import getpass
import signal
import sys

from mailer.vocabulary.errors import UsageError


def require_terminal(*, yes: bool) -> None:
    """Refuse a command that would have to ask and cannot. Raises `UsageError` E115."""
    if not yes and not sys.stdin.isatty():
        raise UsageError("E115", "there is no terminal to ask on", hint="--yes", safe="Nothing was sent.")


def confirmed(count: int, *, above: int) -> bool:
    """Ask whether so many messages may be sent; more than `above` have to be typed. Ctrl-C is heard while asking."""
    must_type = count > above
    try:
        answer = ask(f"  Type {count} to send them: " if must_type else "  Send them? [y/N] ").strip()
    except EOFError:
        return False
    return answer == str(count) if must_type else answer.lower() in ("y", "yes")


def ask(question: str, *, echo: bool = True) -> str:
    """Ask on the terminal, with a Ctrl-C that is heard at once: asyncio's own handler would wait for the answer."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if not echo:
            return getpass.getpass(question, stream=sys.stderr)
        print(question, end="", file=sys.stderr, flush=True)
        return input()
    finally:
        signal.signal(signal.SIGINT, before)

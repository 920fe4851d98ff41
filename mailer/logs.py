"""Logs on stderr: lines for people, JSON for machines. Secrets never come this far; addresses come shortened."""

import logging
import sys
from contextlib import suppress
from typing import Literal

import structlog


def configure_logs(form: Literal["text", "json"], level: str) -> None:
    """Set up our log and the libraries' own. `level` is a name such as `warning`."""
    configure_own_log(form, level)
    # arq logs a line for each job and aiosmtpd one for each command; both are of interest only to a developer.
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")


def configure_own_log(form: Literal["text", "json"], level: str) -> None:
    """Set up our log alone, for a process whose other loggers somebody else has set up."""
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    )
    processors: list[structlog.types.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if form == "json":
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: _Stderr(),
    )


class _Stderr:
    """Writes lines to whatever stderr is at that moment. A line that cannot be written must not end a send."""

    def msg(self, line: str) -> None:
        with suppress(OSError, ValueError):
            print(line, file=sys.stderr, flush=True)

    debug = info = warning = error = critical = exception = msg

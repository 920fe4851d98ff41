"""A process that has loaded the commands already and forks for each one, or each script, it is asked to run.

Half a second of imports for every command would make these tests slow. Everything else about such a command is as it
would be: a process of its own with its own environment, folder, streams and signals, entered where `mailer` is.
Every verb is also started cold somewhere, as a shell does it.
"""

import codecs
import gc
import importlib
import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any

COMMANDS = ("app", "send", "report", "status", "queue", "work", "demo")
LOADED = (
    "pydantic_settings",
    "rich.progress",
    "mailer.api.async_mailer",
    "mailer.api.mailer",
    "mailer.logs",
    "mailer.worker.event_loop",
    "mailer.worker.own",
    "mailer.worker.process",
    *(f"mailer.cli.{name}" for name in COMMANDS),
)


def serve() -> None:
    """Take an order a line on stdin: to run a command (answer: its pid), or to ask for one (its exit code, or null)."""
    for name in LOADED:
        importlib.import_module(name)
    for codec in ("idna", "utf-8-sig"):
        codecs.lookup(codec)
    # No collection of a child's touches what it shares with this process.
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        if "pid" in order:
            pid, status = os.waitpid(order["pid"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            answer = os.fork()
            if answer == 0:
                os._exit(_run(order))
        print(json.dumps(answer), flush=True)


def _run(order: dict[str, Any]) -> int:
    from mailer.__main__ import main

    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environ"])
    for number, name in enumerate(("in", "out", "err")):
        path = Path(order[name])
        os.dup2(os.open(path, os.O_RDWR | os.O_NOCTTY | (0 if path.exists() else os.O_CREAT)), number)
    sys.stdin = os.fdopen(0)
    try:
        if order["words"] and order["words"][0].endswith(".py"):
            sys.argv = order["words"]
            runpy.run_path(sys.argv[0], run_name="__main__")
        else:
            main(order["words"])
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    serve()

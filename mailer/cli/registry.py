"""The table of commands: where each of them is entered, and what their arguments have in common."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from mailer.vocabulary.errors import UsageError

EVERYWHERE = "With every command: --json, -q, -v, -vv, --no-color, --env-file FILE, --log-format text|json."

app = typer.Typer(
    name="mailer",
    help="Example: mailer demo\n\nAsynchronous, queued, exact bulk mail.",
    epilog=EVERYWHERE,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_QUEUE = "The embedded queue server: started by whichever command needs it first, ended by `stop`."
queue_app = typer.Typer(help=f"Example: mailer queue status\n\n{_QUEUE}", short_help=_QUEUE, epilog=EVERYWHERE)
app.add_typer(queue_app, name="queue")

Context = typer.Context
CampaignId = Annotated[
    str | None, typer.Argument(metavar="ID", help="A campaign id or its beginning; default the latest.")
]
CampaignFile = Annotated[
    Path | None,
    typer.Argument(
        metavar="CAMPAIGN",
        help="A TOML file, a folder with mailer.toml, or a single-file template; default ./mailer.toml.",
    ),
]


def command(
    example: str, *, on: typer.Typer = app, name: str | None = None, hidden: bool = False
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """A command whose help begins with an example."""

    def register(function: Callable[..., int]) -> Callable[..., int]:
        told = (function.__doc__ or "").strip()
        text = f"Example: {example}\n\n{told}"
        return on.command(name, help=text, short_help=told, epilog=EVERYWHERE, hidden=hidden)(function)

    return register


@app.callback(invoke_without_command=True)
def everywhere(
    context: Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Asynchronous, queued, exact bulk mail."""
    if version:
        from mailer import __version__

        if context.obj.as_json:
            context.obj.document(version=__version__)
        else:
            print(f"mailer {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        raise UsageError("E101", "the command is missing", hint="mailer --help")

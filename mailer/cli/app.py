"""The commands, and how each of them ends: with one of the documented exit codes."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from mailer.cli.common import Common, split
from mailer.cli.complaints import complain
from mailer.vocabulary.errors import MailerError, UsageError

INTERRUPTED = 130
EVERYWHERE = "With every command: --json, -q, -v, -vv, --no-color, --env-file FILE, --log-format text|json."

app = typer.Typer(
    name="mailer",
    help="Example: mailer demo\n\nAsynchronous, queued, exact bulk mail.",
    epilog=EVERYWHERE,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
queue_app = typer.Typer(
    help="The embedded queue server: started by whichever command needs it first, ended by `stop`.\n\n"
    "Example: mailer queue status",
    epilog=EVERYWHERE,
    no_args_is_help=True,
)
app.add_typer(queue_app, name="queue")

Context = typer.Context
CampaignId = Annotated[
    str | None, typer.Argument(metavar="ID", help="A campaign id or its beginning; default the latest.")
]
CampaignFile = Annotated[
    Path | None,
    typer.Argument(metavar="CAMPAIGN", help="A TOML file, or a folder with mailer.toml; default ./mailer.toml."),
]


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        common, rest = split(arguments)
    except UsageError as error:
        return complain(error, Common(as_json="--json" in arguments))
    # A worker or a pipe that closes early is no crash of ours.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        code = app(args=rest, prog_name="mailer", standalone_mode=False, obj=common)
        return code if isinstance(code, int) else 0
    except MailerError as error:
        return complain(error, common)
    except typer.Exit as exit_:
        return exit_.exit_code
    except (KeyboardInterrupt, typer.Abort, asyncio.CancelledError):
        return INTERRUPTED
    except Exception as error:
        return _unforeseen(error, common)


def _unforeseen(error: Exception, common: Common) -> int:
    """Usage errors of the parser, errors of the queue server, and bugs."""
    told = getattr(error, "format_message", None)
    if told is not None:
        return complain(UsageError("E101", told().rstrip("."), hint="mailer --help"), common)
    import redis

    if isinstance(error, redis.RedisError):
        from mailer.backends.redis.connection import explained

        try:
            with explained("the queue server's address"):
                raise error
        except MailerError as explained_error:
            return complain(explained_error, common)
    if common.verbosity >= 2:
        raise error
    bug = UsageError(
        "E199",
        f"unexpected {type(error).__name__}: {error}",
        hint="run it again with -vv and report the traceback: this is a bug of mailer",
        safe="What was accepted stays in the ledger; sending it again sends nothing twice.",
    )
    return complain(bug, common)


def _command(
    example: str, *, on: typer.Typer = app, name: str | None = None
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """A command whose help begins with an example."""

    def register(function: Callable[..., int]) -> Callable[..., int]:
        told = (function.__doc__ or "").strip()
        return on.command(name, help=f"Example: {example}\n\n{told}", short_help=told, epilog=EVERYWHERE)(function)

    return register


@app.callback(invoke_without_command=True)
def everywhere(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Asynchronous, queued, exact bulk mail."""
    if version:
        from mailer import __version__

        print(f"mailer {__version__}")
        raise typer.Exit


@_command("mailer demo --messages 5000")
def demo(
    context: Context,
    messages: Annotated[int, typer.Option("--messages", help="How many sample mails.")] = 1000,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running until Ctrl-C.")] = False,
) -> int:
    """Send sample mails through everything there is, on this computer alone."""
    from mailer.cli.demo import demonstrate

    return asyncio.run(demonstrate(context.obj, messages=messages, keep=keep))


@_command("mailer send mailer.toml --yes")
def send(
    context: Context,
    campaign: CampaignFile = None,
    template: Annotated[str | None, typer.Option("--template", metavar="PATH", help="Template folder.")] = None,
    recipients: Annotated[
        str | None, typer.Option("--recipients", metavar="PATH", help="CSV or JSON Lines; - is stdin.")
    ] = None,
    smtp_url: Annotated[
        str | None, typer.Option("--smtp-url", metavar="URL", help="smtp+starttls://user@host:587")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="The same key with the same content sends nothing twice.")
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option("--delimiter", metavar="C", help="Of the CSV file, where it is ambiguous.")
    ] = None,
    recipients_format: Annotated[
        Literal["csv", "jsonl"] | None, typer.Option("--recipients-format", metavar="csv|jsonl", help="Of stdin.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Render and check every row; needs neither queue nor server.")
    ] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Rows that cannot be built become failed; the others go.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when everything is stored; workers send it.")
    ] = False,
    wait: Annotated[
        str | None, typer.Option("--wait", metavar="DURATION", help="Stop waiting after so long (exit 5).")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> int:
    """Send a campaign, and wait for the report; without a running worker, do the work too."""
    from mailer.cli.send import SendFlags, send_campaign

    flags = SendFlags(
        template=template,
        recipients=recipients,
        smtp_url=smtp_url,
        key=key,
        delimiter=delimiter,
        recipients_format=recipients_format,
        dry_run=dry_run,
        skip_bad=skip_bad,
        detach=detach,
        wait=wait,
        yes=yes,
    )
    return asyncio.run(send_campaign(context.obj, campaign, flags))


@_command("mailer worker --processes 2")
def worker(
    context: Context,
    processes: Annotated[int, typer.Option("--processes", min=1, help="Worker processes.")] = 1,
    connections: Annotated[
        int | None, typer.Option("--connections", min=1, help="Connections to the relay per process.")
    ] = None,
    burst: Annotated[bool, typer.Option("--burst", help="End when nothing is queued or due.")] = False,
    grace: Annotated[
        str, typer.Option("--grace", metavar="DURATION", help="For messages in flight at the end.")
    ] = "60s",
) -> int:
    """Run workers: they take what is queued and send it."""
    from mailer.cli.work import work

    return asyncio.run(work(context.obj, processes=processes, connections=connections, burst=burst, grace=grace))


@_command("mailer status")
def status(context: Context, campaign_id: CampaignId = None) -> int:
    """Show campaigns, workers and the queue."""
    from mailer.cli.status import show_status

    return asyncio.run(show_status(context.obj, campaign_id))


@_command("mailer report newsletter-7f3c --refused")
def report(
    context: Context,
    campaign_id: CampaignId = None,
    refused: Annotated[bool, typer.Option("--refused", help="Who was refused, and why.")] = False,
    state: Annotated[str | None, typer.Option("--state", metavar="S[,S]", help="Recipients in these states.")] = None,
    domain: Annotated[str | None, typer.Option("--domain", metavar="D", help="Recipients of this domain.")] = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="table|html|csv|json|jsonl", help="Form of the report.")
    ] = "table",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="PATH", help="Write a file, whole or not at all.")
    ] = None,
    problems_first: Annotated[bool, typer.Option("--problems-first", help="Domains with most trouble first.")] = False,
    all_rows: Annotated[bool, typer.Option("--all-rows", help="Invalid and duplicate rows too.")] = False,
    redact: Annotated[bool, typer.Option("--redact", help="Hash the local parts of addresses.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="CSV cells as they are, not made safe for spreadsheets.")] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit 1 when somebody did not get it, 5 while it runs.")
    ] = False,
) -> int:
    """Say of every recipient what happened and why."""
    from mailer.cli.report import ReportFlags, show_report

    flags = ReportFlags(
        states=("refused",) if refused else tuple(state.split(",")) if state else (),
        domain=domain,
        form=format_,
        output=output,
        problems_first=problems_first,
        all_rows=all_rows,
        redact=redact,
        raw=raw,
        exit_code=exit_code,
    )
    return asyncio.run(show_report(context.obj, campaign_id, flags))


@_command("mailer resume newsletter-7f3c")
def resume(context: Context, campaign_id: CampaignId = None) -> int:
    """Let a paused campaign go on."""
    from mailer.cli.status import resume_campaign

    return asyncio.run(resume_campaign(context.obj, campaign_id))


@_command("mailer capture --port 2525")
def capture(
    context: Context,
    port: Annotated[int, typer.Option("--port", help="SMTP port.")] = 1025,
) -> int:
    """Run a local mail server that keeps everything and delivers nothing."""
    from mailer.cli.capture import capture_mail

    return asyncio.run(capture_mail(context.obj, port=port))


@_command("mailer queue start", on=queue_app, name="start")
def queue_start(context: Context) -> int:
    """Start the embedded queue server, or find it running."""
    from mailer.cli.queue import start

    return start(context.obj)


@_command("mailer queue stop", on=queue_app, name="stop")
def queue_stop(context: Context) -> int:
    """End the embedded queue server; its data stay."""
    from mailer.cli.queue import stop

    return stop(context.obj)


@_command("mailer queue status", on=queue_app, name="status")
def queue_status(context: Context) -> int:
    """Say whether the embedded queue server runs, and where its data lie."""
    from mailer.cli.queue import show

    return show(context.obj)

"""Commands that keep something running: workers, the queue server, the capture server."""

from typing import Annotated

import typer

from mailer.cli.loop import run_loop
from mailer.cli.registry import Context, command, queue_app


@command("mailer worker --processes 2")
def worker(
    context: Context,
    processes: Annotated[int, typer.Option("--processes", min=1, help="Worker processes.")] = 1,
    connections: Annotated[
        int | None, typer.Option("--connections", min=1, help="Connections to the relay per process.")
    ] = None,
    burst: Annotated[bool, typer.Option("--burst", help="End when nothing is queued or due.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only ask whether a worker on this machine is alive.")] = False,
    grace: Annotated[
        str, typer.Option("--grace", metavar="DURATION", help="For messages in flight at the end.")
    ] = "60s",
) -> int:
    """Run workers: they take what is queued and send it."""
    if check:
        from mailer.cli.checking import check_worker

        return run_loop(check_worker(context.obj))
    from mailer.cli.work import work

    return run_loop(work(context.obj, processes=processes, connections=connections, burst=burst, grace=grace))


@command("mailer capture --port 2525")
def capture(
    context: Context,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="SMTP port.")] = 1025,
    web: Annotated[
        int, typer.Option("--web", min=0, max=65535, help="Port of the page; the next free one where it is taken.")
    ] = 8025,
) -> int:
    """Run a local mail server that keeps everything and delivers nothing, with a page to look at the mail."""
    from mailer.cli.capture import capture_mail

    return run_loop(capture_mail(context.obj, port=port, web=web))


@command("mailer queue start", on=queue_app, name="start")
def queue_start(context: Context) -> int:
    """Start the embedded queue server, or find it running."""
    from mailer.cli.queue import start

    return start(context.obj)


@command("mailer queue stop", on=queue_app, name="stop")
def queue_stop(context: Context) -> int:
    """End the embedded queue server; its data stay."""
    from mailer.cli.queue import stop

    return stop(context.obj)


@command("mailer queue status", on=queue_app, name="status")
def queue_status(context: Context) -> int:
    """Say whether the embedded queue server runs, and where its data lie."""
    from mailer.cli.queue import show

    return show(context.obj)

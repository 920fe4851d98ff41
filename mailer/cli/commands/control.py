"""Commands of an operator: pause, resume, cancel, retry, resolve, watch; the do-not-send list."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mailer.cli.loop import run_loop
from mailer.cli.registry import EVERYWHERE, CampaignId, Context, app, command

_SUPPRESS = "The do-not-send list: addresses that no campaign writes to."
suppress_app = typer.Typer(
    help=f"Example: mailer suppress add ann@example.org --reason complained\n\n{_SUPPRESS}",
    short_help=_SUPPRESS,
    epilog=EVERYWHERE,
)
app.add_typer(suppress_app, name="suppress")

GivenId = Annotated[str, typer.Argument(metavar="ID", help="A campaign id or its beginning.")]
Reason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; stored and shown.")]
Addresses = Annotated[list[str], typer.Argument(metavar="ADDR...", help="Addresses.")]


@command("mailer pause newsletter-7f3c --reason 'wrong price'")
def pause(context: Context, campaign_id: GivenId, reason: Reason = None) -> int:
    """Stop a campaign on all workers at once; nothing is lost."""
    from mailer.cli.control import pause_campaign

    return run_loop(pause_campaign(context.obj, campaign_id, reason))


@command("mailer resume newsletter-7f3c")
def resume(
    context: Context,
    campaign_id: CampaignId = None,
    confirm_restore: Annotated[
        bool, typer.Option("--confirm-restore", help="Go on although the queue was copied, moved or put back.")
    ] = False,
) -> int:
    """Let a paused campaign go on."""
    from mailer.cli.control import resume_campaign

    return run_loop(resume_campaign(context.obj, campaign_id, confirm_restore=confirm_restore))


@command("mailer cancel newsletter-7f3c --reason 'wrong price'")
def cancel(context: Context, campaign_id: GivenId, reason: Reason = None) -> int:
    """Cancel for good whoever has not been sent to; what is in flight finishes."""
    from mailer.cli.control import cancel_campaign

    return run_loop(cancel_campaign(context.obj, campaign_id, reason))


@command("mailer retry newsletter-7f3c --code 4xx,552")
def retry(
    context: Context,
    campaign_id: GivenId,
    state: Annotated[
        str | None,
        typer.Option("--state", metavar="S[,S]", help="deferred (now), failed, refused; in_doubt only when named."),
    ] = None,
    code: Annotated[
        str | None, typer.Option("--code", metavar="C[,C]", help="Last reply: codes or classes, as in 4xx,552.")
    ] = None,
    domain: Annotated[str | None, typer.Option("--domain", metavar="D", help="Recipients of this domain.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", help="At most so many.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> int:
    """Try recipients again who were deferred, failed or refused; the same message, on record."""
    from mailer.cli.retrying import read_selection, retry_campaign

    selection = read_selection(state, code, domain, limit)
    return run_loop(retry_campaign(context.obj, campaign_id, selection, yes=yes))


@command("mailer resolve newsletter-7f3c ann@example.org --as sent")
def resolve(
    context: Context,
    campaign_id: GivenId,
    addresses: Addresses,
    as_: Annotated[
        Literal["sent", "refused", "failed", "resend"],
        typer.Option("--as", metavar="sent|refused|failed|resend", help="What the server's log says, or send again."),
    ],
) -> int:
    """Decide about recipients in doubt."""
    from mailer.cli.retrying import resolve_campaign
    from mailer.vocabulary.acts import Resolution

    return run_loop(resolve_campaign(context.obj, campaign_id, addresses, Resolution(as_)))


@command("mailer watch newsletter-7f3c")
def watch(context: Context, campaign_id: CampaignId = None) -> int:
    """Show a campaign live until it is finished, cancelled or paused."""
    from mailer.cli.watching import watch_campaign

    return run_loop(watch_campaign(context.obj, campaign_id))


@command("mailer suppress add ann@example.org --reason complained", on=suppress_app, name="add")
def suppress_add(context: Context, addresses: Addresses, reason: Reason = None) -> int:
    """Put addresses on the list."""
    from mailer.cli.suppressing import add

    return run_loop(add(context.obj, addresses, reason))


@command("mailer suppress remove ann@example.org", on=suppress_app, name="remove")
def suppress_remove(context: Context, addresses: Addresses) -> int:
    """Take addresses off the list."""
    from mailer.cli.suppressing import remove

    return run_loop(remove(context.obj, addresses))


@command("mailer suppress import unsubscribed.csv", on=suppress_app, name="import")
def suppress_import(
    context: Context,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="CSV with an email column, or an address a line; - is stdin.")
    ],
    reason: Reason = None,
) -> int:
    """Put a file of addresses on the list."""
    from mailer.cli.suppressing import import_file

    return run_loop(import_file(context.obj, file, reason))


@command("mailer suppress export -o do-not-send.csv", on=suppress_app, name="export")
def suppress_export(
    context: Context,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="PATH", help="Write a file, whole or not at all.")
    ] = None,
) -> int:
    """Write the list as CSV; `import` reads it again."""
    from mailer.cli.suppressing import export

    return run_loop(export(context.obj, output))


@command("mailer suppress list", on=suppress_app, name="list")
def suppress_list(context: Context) -> int:
    """Show who is on the list, and why."""
    from mailer.cli.suppressing import show

    return run_loop(show(context.obj))


@command("mailer suppress why ann@example.org", on=suppress_app, name="why")
def suppress_why(context: Context, address: Annotated[str, typer.Argument(metavar="ADDR", help="An address.")]) -> int:
    """Say whether an address is on the list, why, and since when."""
    from mailer.cli.suppressing import why

    return run_loop(why(context.obj, address))

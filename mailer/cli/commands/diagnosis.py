"""Commands that tell what is wrong, what is set and what there is: doctor, explain, config, dev, completion, man."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mailer.cli.registry import EVERYWHERE, CampaignFile, Context, app, command

_CONFIG = "The settings: flags over environment over .env over the campaign's file over the user's file."
config_app = typer.Typer(
    help=f"Example: mailer config show --origin\n\n{_CONFIG}", short_help=_CONFIG, epilog=EVERYWHERE
)
app.add_typer(config_app, name="config")
_DEV = "Things for tests and compose files."
dev_app = typer.Typer(
    help=f"Example: mailer dev certs --out certs --host mailpit\n\n{_DEV}", short_help=_DEV, epilog=EVERYWHERE
)
app.add_typer(dev_app, name="dev")


@config_app.callback()
@dev_app.callback()
def _group() -> None:
    """Keep a group a group although it has one command."""


@command("mailer doctor --smtp --transcript")
def doctor(
    context: Context,
    campaign: CampaignFile = None,
    smtp: Annotated[bool, typer.Option("--smtp", help="Only the mail server, step by step; nothing is sent.")] = False,
    redis: Annotated[bool, typer.Option("--redis", help="Only the queue server.")] = False,
    transcript: Annotated[
        bool, typer.Option("--transcript", help="Show the dialogue with the mail server, secrets masked.")
    ] = False,
) -> int:
    """Try the mail server and the queue server step by step, and say what to mend."""
    from mailer.cli.doctor import examine

    return examine(context.obj, campaign, smtp=smtp, redis=redis, transcript=transcript)


@command("mailer explain E401")
def explain(
    context: Context,
    code: Annotated[str | None, typer.Argument(metavar="CODE", help="An error or warning; default the list.")] = None,
) -> int:
    """Say what an error or warning means, why it happens, how to mend it and what is safe."""
    from mailer.cli.explaining import explain as explain_code

    return explain_code(context.obj, code)


@command("mailer config show --origin", on=config_app, name="show")
def config_show(
    context: Context,
    campaign: CampaignFile = None,
    origin: Annotated[bool, typer.Option("--origin", help="Where each value comes from.")] = False,
) -> int:
    """Show every setting in force; secrets are hidden."""
    from mailer.cli.settings import show_settings

    return show_settings(context.obj, campaign, origin=origin)


@command("mailer dev certs --out certs --host mailpit", on=dev_app, name="certs")
def dev_certs(
    context: Context,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for ca.pem, server.pem, server.key.")],
    host: Annotated[
        list[str], typer.Option("--host", metavar="NAME", help="Name or address of the server; may be repeated.")
    ],
) -> int:
    """Make an authority and a server certificate for tests; a foreign one is never overwritten."""
    from mailer.cli.certificates import make_certificates

    return make_certificates(context.obj, out, host)


@command('eval "$(mailer completion bash)"')
def completion(
    context: Context,
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(metavar="bash|zsh|fish", help="Your shell.")],
) -> int:
    """Print the script that lets a shell complete commands and flags."""
    from mailer.cli.completing import show_completion

    return show_completion(context.obj, shell)


@command("mailer man > mailer.1", hidden=True)
def man(context: Context) -> int:
    """Print the manual page."""
    from mailer.cli.manual import show_manual

    return show_manual(context.obj)

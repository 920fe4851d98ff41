"""Commands about campaigns: send one, and ask what became of it."""

import asyncio
from pathlib import Path
from typing import Annotated, Literal

import typer

from mailer.cli.registry import CampaignFile, CampaignId, Context, command


@command("mailer demo --messages 5000")
def demo(
    context: Context,
    messages: Annotated[int, typer.Option("--messages", help="How many sample mails.")] = 1000,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running until Ctrl-C.")] = False,
) -> int:
    """Send sample mails through everything there is, on this computer alone."""
    from mailer.cli.demo import demonstrate

    return asyncio.run(demonstrate(context.obj, messages=messages, keep=keep))


@command("mailer send mailer.toml --yes")
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
    from mailer.cli.accepting import SendFlags
    from mailer.cli.send import send_campaign

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


@command("mailer status")
def status(
    context: Context,
    campaign_id: CampaignId = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Count the campaign's ledger again; exit 3 where it differs.")
    ] = False,
) -> int:
    """Show campaigns, workers and the queue."""
    from mailer.cli.status import show_status

    if verify:
        from mailer.cli.verifying import verify_campaign

        return asyncio.run(verify_campaign(context.obj, campaign_id))
    return asyncio.run(show_status(context.obj, campaign_id))


@command("mailer report newsletter-7f3c --refused")
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

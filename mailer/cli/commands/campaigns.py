"""Commands about campaigns: send one, and ask what became of it."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mailer.cli.loop import run_loop
from mailer.cli.registry import CampaignFile, CampaignId, Context, command

Recipients = Annotated[
    str | None, typer.Option("--recipients", "--database", metavar="PATH", help="CSV, JSON Lines, xlsx; - is stdin.")
]
"""The list, where it is not the one of the settings."""
Delimiter = Annotated[
    str | None, typer.Option("--delimiter", metavar="C", help="Of the CSV file, where it is ambiguous.")
]
"""What separates its cells."""
RecipientsFormat = Annotated[
    Literal["csv", "jsonl"] | None, typer.Option("--recipients-format", metavar="csv|jsonl", help="Of stdin.")
]
"""What it is read as, whatever it is called."""


@command("mailer demo --messages 5000")
def demo(
    context: Context,
    messages: Annotated[int, typer.Option("--messages", help="How many sample mails.")] = 1000,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running until Ctrl-C.")] = False,
    no_web: Annotated[bool, typer.Option("--no-web", help="Without the page of captured mail.")] = False,
) -> int:
    """Send sample mails through everything there is, on this computer alone."""
    from mailer.cli.demo import demonstrate

    return run_loop(demonstrate(context.obj, messages=messages, keep=keep, web=not no_web))


@command("mailer init my-campaign")
def init(
    context: Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Made if need be; default the current one.")] = Path(),
    from_mailmerge: Annotated[
        bool, typer.Option("--from-mailmerge", help="Take over mailmerge's files in this folder.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
) -> int:
    """Write a campaign that works as it stands: settings, list, template, script."""
    from mailer.cli.init import init as write_campaign

    return write_campaign(context.obj, folder, from_mailmerge=from_mailmerge, force=force)


@command("mailer preview mailer.toml --row 3")
def preview(
    context: Context,
    campaign: CampaignFile = None,
    recipients: Recipients = None,
    delimiter: Delimiter = None,
    recipients_format: RecipientsFormat = None,
    row: Annotated[int, typer.Option("--row", min=1, help="Row of the list to begin with.")] = 1,
    opens: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    prints: Annotated[bool, typer.Option("--print", help="Headers and text part on the terminal; no page.")] = False,
    eml: Annotated[Path | None, typer.Option("--eml", metavar="FILE", help="Write the message; no page.")] = None,
) -> int:
    """Look at the message of a row, on a live page, the terminal or in a file; sends nothing."""
    from mailer.cli.preview import preview_campaign
    from mailer.cli.send_flags import SendFlags

    flags = SendFlags(recipients=recipients, delimiter=delimiter, recipients_format=recipients_format)
    return run_loop(preview_campaign(context.obj, campaign, flags, row=row, opens=opens, prints=prints, eml=eml))


@command("mailer check --fix-list bad.csv")
def check(
    context: Context,
    campaign: CampaignFile = None,
    recipients: Recipients = None,
    delimiter: Delimiter = None,
    recipients_format: RecipientsFormat = None,
    fix_list: Annotated[
        Path | None,
        typer.Option("--fix-list", metavar="FILE", help="Write the rows left out, and why, to be mended."),
    ] = None,
) -> int:
    """Render every row, check and lint it; sends nothing, and needs neither queue nor server."""
    from mailer.cli.check import check_campaign
    from mailer.cli.send_flags import SendFlags

    flags = SendFlags(recipients=recipients, delimiter=delimiter, recipients_format=recipients_format)
    return check_campaign(context.obj, campaign, flags, to_mend=fix_list)


@command("mailer send mailer.toml --yes")
def send(
    context: Context,
    campaign: CampaignFile = None,
    template: Annotated[str | None, typer.Option("--template", metavar="PATH", help="Template folder or file.")] = None,
    recipients: Recipients = None,
    smtp_url: Annotated[
        str | None, typer.Option("--smtp-url", metavar="URL", help="smtp+starttls://user@host:587")
    ] = None,
    rate: Annotated[
        str | None, typer.Option("--rate", metavar="20/s", help="No faster than that, over all workers together.")
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="Begin then (ISO 8601); a worker must run at that time.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="The same key with the same content sends nothing twice.")
    ] = None,
    new: Annotated[
        bool, typer.Option("--new", help="Another campaign, although this content was sent before.")
    ] = False,
    append: Annotated[
        bool, typer.Option("--append", help="Add the new recipients of another list to the campaign of this key.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Render and check every row; needs neither queue nor server.")
    ] = False,
    test_to: Annotated[
        str | None, typer.Option("--test-to", metavar="ADDR", help="Send the first 3 rows to this address only.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", help="At most so many rows.")] = None,
    offset: Annotated[int | None, typer.Option("--offset", metavar="N", help="Pass over the first N rows.")] = None,
    sample: Annotated[int | None, typer.Option("--sample", metavar="K", help="K rows, spread over the list.")] = None,
    duplicates: Annotated[
        Literal["first", "keep"] | None,
        typer.Option("--duplicates", metavar="first|keep", help="Of several rows with one address."),
    ] = None,
    exclude_campaign: Annotated[
        str | None, typer.Option("--exclude-campaign", metavar="ID", help="Leave out the recipients of that campaign.")
    ] = None,
    delimiter: Delimiter = None,
    recipients_format: RecipientsFormat = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Rows that cannot be built become failed; the others go.")
    ] = False,
    stream: Annotated[
        bool, typer.Option("--stream", help="Send while the list is still being read; implies --skip-bad.")
    ] = False,
    priority: Annotated[
        int | None, typer.Option("--priority", metavar="N", help="Before campaigns with a lower one; default 0.")
    ] = None,
    render_processes: Annotated[
        int | None,
        typer.Option(
            "--render-processes", metavar="N", help="Processes that render; default by the cores, 1 for short lists."
        ),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when everything is stored; workers send it.")
    ] = False,
    wait: Annotated[
        str | None, typer.Option("--wait", metavar="DURATION", help="Stop waiting after so long (exit 5).")
    ] = None,
    transcript: Annotated[
        bool, typer.Option("--transcript", help="Show the dialogue with the mail server, without secrets.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "--no-dry-run", help="Do not ask.")] = False,
    resume: Annotated[int | None, typer.Option("--resume", hidden=True, help="mailmerge's --offset, from 1.")] = None,
    no_limit: Annotated[bool, typer.Option("--no-limit", hidden=True, help="mailmerge's; there is none.")] = False,
) -> int:
    """Send a campaign, and wait for the report; without a running worker, do the work too."""
    from mailer.cli.send import send_campaign
    from mailer.cli.send_flags import SendFlags

    flags = SendFlags(
        template=template,
        recipients=recipients,
        smtp_url=smtp_url,
        rate=rate,
        priority=priority,
        duplicates=duplicates,
        key=key,
        new=new,
        append=append,
        at=at,
        test_to=test_to,
        limit=None if no_limit else limit,
        offset=offset,
        resume=resume,
        sample=sample,
        exclude_campaign=exclude_campaign,
        delimiter=delimiter,
        recipients_format=recipients_format,
        dry_run=dry_run,
        render_processes=render_processes,
        skip_bad=skip_bad,
        stream=stream,
        detach=detach,
        wait=wait,
        transcript=transcript,
        yes=yes,
    )
    return run_loop(send_campaign(context.obj, campaign, flags))


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

        return run_loop(verify_campaign(context.obj, campaign_id))
    return run_loop(show_status(context.obj, campaign_id))


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
    return run_loop(show_report(context.obj, campaign_id, flags))

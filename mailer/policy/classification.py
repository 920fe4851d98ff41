"""What a server's reply means."""

from dataclasses import replace

from mailer.policy.reply_table import TABLE
from mailer.policy.reply_table.row import detail_of
from mailer.policy.reply_table.verdicts import DESYNCHRONISED, UNKNOWABLE
from mailer.vocabulary.phase import Phase
from mailer.vocabulary.reply import Reply
from mailer.vocabulary.verdict import Verdict


def classify(phase: Phase, reply: Reply, *, accepted_before: int = 1) -> Verdict:
    """Tell what `reply` to the step `phase` means; never raises.

    The phase decides first, then the basic code (alone: retry or not, RFC 5321 section 4.2.1), then the enhanced status
    code (RFC 3463), then the text. `accepted_before` is the number of recipients that this transaction had accepted
    when the reply came: "too many recipients" means a split only where there is something to split.
    """
    if reply.code == 250 and (usual := _USUAL.get(phase)) is not None:
        return usual
    return _look_up(phase, reply, accepted_before)


def _look_up(phase: Phase, reply: Reply, accepted_before: int) -> Verdict:
    detail = detail_of(reply)
    for row in TABLE[phase]:
        if row.matches(reply, detail, accepted_before):
            if row.verdict.suppress and not reply.status.startswith("5"):
                # 550 4.1.1: the server contradicts itself, and a suppression outlives the campaign.
                return replace(row.verdict, suppress=False)
            return row.verdict
    return UNKNOWABLE if phase.may_have_delivered else DESYNCHRONISED


_USUAL = {phase: _look_up(phase, Reply(250, None, ""), 0) for phase in (Phase.MAIL, Phase.RCPT, Phase.DOT)}

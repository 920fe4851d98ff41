"""The reply table: rows as data, matched in order; the first one that matches decides."""

from mailer.policy.reply_table.message import BODY, DATA, DOT
from mailer.policy.reply_table.recipient import RCPT
from mailer.policy.reply_table.sender import MAIL
from mailer.policy.reply_table.session import AUTH, EHLO, GREETING, TLS
from mailer.vocabulary.phase import Phase

TABLE = {
    Phase.BUILD: GREETING,  # no server speaks before its greeting
    Phase.CONNECT: GREETING,
    Phase.GREETING: GREETING,
    Phase.EHLO: EHLO,
    Phase.TLS: TLS,
    Phase.AUTH: AUTH,
    Phase.MAIL: MAIL,
    Phase.RCPT: RCPT,
    Phase.DATA: DATA,
    Phase.BODY: BODY,
    Phase.DOT: DOT,
}

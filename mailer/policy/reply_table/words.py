"""Details and phrases of servers that several rows of the reply table look for."""

DOMAIN_AUTHENTICATION = "X.7.20-26 X.7.29 X.7.30-32 X.7.509 X.7.515"
"""SPF, DKIM, DMARC, reverse DNS, ARC: RFC 7372 and the registry; 30-32 at Gmail, 509 and 515 at Microsoft."""
DOMAIN_FAILS = "the sending domain fails SPF, DKIM or DMARC"

SENDER = "X.1.7 X.1.8 X.7.27 X.7.60 X.2.252"
"""RFC 3463 and 7505; 60 and 252 are Exchange's "send as" denied."""
SENDER_REFUSED = "the server refuses the sender address"
SAYS_SENDER = (
    r"sender (address )?(rejected|denied|refused|verify failed)|not owned by user|send ?as ?denied|send as this sender"
)
"""Postfix and Exim tell trouble with MAIL or EHLO only at RCPT: it must never be booked on the recipient."""

ACCOUNT_BLOCKED = "X.4.5 X.7.705 X.7.708"
"""Gmail's daily limit; Exchange Online's blocked tenant or address."""
QUOTA_USED_UP = "the sending quota of this account is used up, or the account is blocked"
SAYS_QUOTA = r"quota|daily|(per|/) ?day|sending limit"
SAYS_THROTTLED = r"throttl|\brate\b|too (fast|quickly|many)"

RELAY_DENIED = "the server does not relay for us"
SAYS_RELAY_DENIED = (
    r"\brelay(ing)? (access )?(is )?(denied|prohibited|rejected|not (permitted|allowed))"
    r"|\b(unable|not (permitted|allowed|authorized|authorised)) to relay"
)

EHLO_REFUSED = "the server refuses our EHLO name: set smtp.local_hostname"
SAYS_EHLO_REFUSED = r"\b(helo|ehlo) command rejected"

LOGIN_WANTED = "the server wants a login or TLS before it takes mail"

PRIORITY = "X.3.6 X.7.15 X.7.16"
"""RFC 6710. We never ask for a priority; a server that measures us by one is to be asked again later."""

NO_ROOM = "X.3.1"
SAYS_TOO_MANY = r"too many (recipients|rcpts?)"
SAYS_FULL = r"\bfull\b|quota|storage"
SAYS_TOO_BIG = r"\bsize\b|too (big|large)"
SAYS_GREYLISTED = r"gr[ea]y-?list"
SAYS_BLOCKED = r"(block|black|deny).?list|\brbl\b|dnsbl|spamhaus|spamcop|barracuda|reputation|\bblocked\b|\bspam\b"
SAYS_CONTENT = r"\bspam|virus|malware|phish|content|attachment|\bblocked\b"
SAYS_NO_SUCH_MAILBOX = (
    r"(user|recipient|mailbox|address|account) (is )?(unknown|unavailable|not found|not exist|does ?n[o']t exist)"
    r"|(unknown|no such|invalid|nonexistent) (local )?(user|recipient|mailbox|address|account)"
)

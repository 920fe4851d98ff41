"""What a setting of the right type may not be: zero connections, an endless time-out, a name with spaces."""

import math
import re
from collections.abc import Mapping

_MAY_BE_ZERO = frozenset({"delivery.confirm_above"})
_MAY_BE_ANY = frozenset({"delivery.priority"})
_AT_MOST: Mapping[str, int] = {
    # Redis keeps the states of a chunk in its compact form up to 512 fields.
    "queue.chunk_size": 500,
}

_FORMS: Mapping[str, tuple[re.Pattern[str], str]] = {
    "campaign.name": (re.compile(r"[A-Za-z0-9-]+"), "letters, digits and -"),
    "queue.prefix": (re.compile(r"[A-Za-z0-9_.:-]+"), "letters, digits and any of - _ . :"),
    # It is said in EHLO: a domain or an address literal (RFC 5321 section 4.1.1.1), and surely no line break.
    "smtp.local_hostname": (re.compile(r"[A-Za-z0-9.-]+|\[[A-Za-z0-9.:]+\]"), "a host name"),
}


def form_missed(key: str, value: object) -> str | None:
    """The form that a value of the right type misses (`1 or more`), or None when the value is good."""
    if isinstance(value, bool):
        return None
    if key == "delivery.retry_delays" and isinstance(value, tuple):
        return None if value and all(_is_positive(item) for item in value) else "a list of durations above 0"
    if isinstance(value, int | float):
        return _number_missed(key, value)
    if isinstance(value, str) and key in _FORMS:
        pattern, form = _FORMS[key]
        return None if pattern.fullmatch(value) else form
    return None


def _number_missed(key: str, value: float) -> str | None:
    if key in _MAY_BE_ANY:
        return None
    if key in _MAY_BE_ZERO:
        return None if value >= 0 else "0 or more"
    if value > _AT_MOST.get(key, math.inf):
        return f"{_AT_MOST[key]} or less"
    if _is_positive(value):
        return None
    return "1 or more" if isinstance(value, int) else "a duration above 0"


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and value > 0 and math.isfinite(value)

"""Which column of a list holds the address."""

import re
from collections.abc import Iterable

# The names people give the column, most certain first, without case, spaces, hyphens and underscores.
_EMAIL_FORMS = ("email", "emailaddress", "mail", "mailaddress")
_JOINTS = re.compile(r"[\s_-]+")


def find_email_column(columns: Iterable[str], wanted: str = "email") -> str | None:
    """The column called `wanted`, as it is written in `columns`, or None.

    The exact name wins; then case, spaces, hyphens and underscores do not matter. Where the plain `email` is wanted,
    `E-Mail`, `Email Address`, `mail` and the like will do.
    """
    names = tuple(columns)
    if wanted in names:
        return wanted
    by_form: dict[str, str] = {}
    for name in names:
        by_form.setdefault(_form(name), name)
    form = _form(wanted)
    accepted = _EMAIL_FORMS if form == _EMAIL_FORMS[0] else (form,)
    return next((by_form[form] for form in accepted if form in by_form), None)


def _form(name: str) -> str:
    return _JOINTS.sub("", name.casefold())

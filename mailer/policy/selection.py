"""Reading which recipients an operator means, as it is written on a command line."""

import re

from mailer.vocabulary.acts import BY_DEFAULT, RETRYABLE, Selection

_CODE = re.compile(r"[245](?:\d\d|xx)", re.IGNORECASE)


def select(states: str | None, codes: str | None, domain: str | None, limit: int | None) -> Selection:
    """A selection as it is written on a command line: lists joined by commas. Raises `ValueError` in words."""
    chosen = frozenset(BY_DEFAULT)
    if states is not None:
        allowed = {state.value: state for state in RETRYABLE}
        names = _split(states)
        for name in names:
            if name not in allowed:
                raise ValueError(f"--state {name}: one of {', '.join(sorted(allowed))}")
        chosen = frozenset(allowed[name] for name in names)
    found = _split(codes) if codes is not None else []
    for code in found:
        if _CODE.fullmatch(code) is None:
            raise ValueError(f"--code {code}: a code or a class, for example 552 or 4xx")
    if limit is not None and limit < 1:
        raise ValueError(f"--limit {limit}: at least 1")
    return Selection(
        states=chosen,
        codes=frozenset(code.lower() for code in found),
        domain=_a_label(domain) if domain is not None else None,
        limit=limit,
    )


def _split(text: str) -> list[str]:
    return [part.strip().lower() for part in text.split(",") if part.strip()]


def _a_label(domain: str) -> str:
    """The domain as addresses carry it: lower case, A-labels."""
    bare = domain.strip().lower().removeprefix("@").removesuffix(".")
    if bare.isascii():
        return bare
    import idna

    try:
        return idna.encode(bare, uts46=True).decode()
    except idna.IDNAError as error:
        raise ValueError(f"--domain {domain}: {error}") from error

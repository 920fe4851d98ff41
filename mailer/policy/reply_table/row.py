"""One row of the reply table and the notation it is written in."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mailer.vocabulary.reply import Reply
from mailer.vocabulary.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A verdict and what a reply must have for it: a code, one of the details, certain words in its text.

    `accepted` is how many recipients the transaction must have had accepted before.
    """

    codes: frozenset[int]
    details: frozenset[str] | None
    words: re.Pattern[str] | None
    accepted: int
    verdict: Verdict

    def matches(self, reply: Reply, detail: str, accepted_before: int) -> bool:
        """Tell whether the row speaks of this reply; `detail` is `detail_of(reply)`."""
        return (
            reply.code in self.codes
            and (self.details is None or detail in self.details or _subject_of(detail) in self.details)
            and accepted_before >= self.accepted
            and (self.words is None or self.words.search(reply.text) is not None)
        )


def row(codes: str, details: str | None, verdict: Verdict, *, says: str | None = None, accepted: int = 0) -> Row:
    """Write a row.

    Codes are `550`, `500-504`, `5xx`, several of them with blanks between. Details are enhanced status codes with X for
    the class (RFC 3463 writes them so): `X.1.1`, `X.7.20-26`, `X.7.*`; a reply without one counts as `X.0.0`. None
    stands for every detail. `says` is a regular expression, sought anywhere in the text in any case.
    """
    return Row(
        codes=frozenset(code for word in codes.split() for code in _codes(word)),
        details=None if details is None else frozenset(detail for word in details.split() for detail in _details(word)),
        words=None if says is None else re.compile(says, re.IGNORECASE),
        accepted=accepted,
        verdict=verdict,
    )


def detail_of(reply: Reply) -> str:
    """The enhanced status code with X for its class: whether to retry is decided by the basic code alone."""
    return "X.0.0" if reply.enhanced_code is None else f"X{reply.enhanced_code[1:]}"


def _subject_of(detail: str) -> str:
    return f"{detail.rpartition('.')[0]}.*"


def _codes(word: str) -> Iterator[int]:
    first, _, last = word.partition("-")
    yield from range(int(first.replace("x", "0")), int((last or first).replace("x", "9")) + 1)


def _details(word: str) -> Iterator[str]:
    subject, _, numbers = word.rpartition(".")
    first, _, last = numbers.partition("-")
    if not last:
        yield word
        return
    yield from (f"{subject}.{number}" for number in range(int(first), int(last) + 1))

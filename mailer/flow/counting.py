"""Counting the rows of a source, where somebody asks for a part of them."""

from mailer.interfaces.source import RecipientSource
from mailer.vocabulary.errors import UsageError


def count_rows(source: RecipientSource) -> int:
    """The rows of a source, which is read once more for it. Raises `UsageError` E101 where it cannot be."""
    if not source.is_repeatable:
        raise UsageError(
            "E101",
            "a sample needs a list whose length is known",
            where=source.name,
            hint="sample from a file or a Python list, or use --limit (in a program: limit=)",
        )
    return sum(1 for _ in source.rows())

"""A step of an examination: what was tried, and what came of it."""

from dataclasses import dataclass
from enum import StrEnum

from mailer.vocabulary.errors import MailerError


class Result(StrEnum):
    """How a step ended. A `warning` does not stop anybody; a `skipped` one was not needed, or could not be tried."""

    OK = "ok"
    FAILED = "failed"
    WARNING = "warning"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One rung of the ladder that `mailer doctor` climbs. `detail` is what was found, `error` how to mend it."""

    name: str
    detail: str = ""
    error: MailerError | None = None
    skipped: bool = False

    @property
    def result(self) -> Result:
        """How it ended."""
        if self.error is not None:
            return Result.WARNING if self.error.code.startswith("W") else Result.FAILED
        return Result.SKIPPED if self.skipped else Result.OK

    def to_dict(self) -> dict[str, object]:
        """The step in a JSON document."""
        return {
            "step": self.name,
            "result": self.result,
            "detail": self.detail or None,
            "error": None if self.error is None else self.error.to_dict(),
        }

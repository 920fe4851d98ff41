"""A tally of lint findings: over all rows of a campaign, one entry for each rule."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from mailer.policy.lint import FIXES, Finding
from mailer.vocabulary.errors import TemplateError


@dataclass(slots=True)
class Entry:
    """What one rule found: in how many messages, and in the first of them (its row) where."""

    row: int
    first: list[Finding]
    messages: int = 0

    def warning(self) -> TemplateError:
        """W304, to be told."""
        finding = self.first[0]
        lines = [str(one.line) for one in self.first if one.line is not None]
        where = f"row {self.row}"
        if lines:
            part = "text part" if finding.message.startswith("the text part") else "HTML part"
            where += f", {part}, line {', '.join(lines)}"
        count = "1 message" if self.messages == 1 else f"{self.messages:,} messages".replace(",", " ")
        return TemplateError("W304", f"{finding.message} ({count})", where=where, hint=FIXES[finding.rule])

    def to_dict(self) -> dict[str, object]:
        """The entry in a JSON document."""
        finding = self.first[0]
        return {
            "rule": finding.rule,
            "message": finding.message,
            "row": self.row,
            "line": finding.line,
            "messages": self.messages,
            "hint": FIXES[finding.rule],
        }


@dataclass(slots=True)
class LintTally:
    """Counts, in memory bounded by the number of rules."""

    _entries: dict[str, Entry] = field(default_factory=dict)

    def add(self, row: int, findings: Iterable[Finding]) -> None:
        """Count the findings of one message; of several of one rule, the message counts once."""
        by_rule: dict[str, list[Finding]] = {}
        for finding in findings:
            by_rule.setdefault(finding.rule, []).append(finding)
        for rule, found in by_rule.items():
            self._entries.setdefault(rule, Entry(row, found)).messages += 1

    def entries(self) -> list[Entry]:
        """One for each rule that found something, the most frequent first."""
        return sorted(self._entries.values(), key=lambda entry: -entry.messages)

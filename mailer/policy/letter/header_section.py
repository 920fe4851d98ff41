"""The header section of a rendered letter: its fields, whose names the template wrote, and the body after them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mailer.policy.letter.values import holds_value, reveal
from mailer.vocabulary.errors import TemplateError

_FIELD = re.compile("([!-9;-~]{1,60}):(.*)", re.DOTALL)
_BLANKS = " \t"
_BEGINS = r"(?im)^[ \t]*(?:\{{%(?:(?!%\}})[^\n])*%\}}[ \t]*)*{}:"
_FIRST = re.compile(r"^(?:\{%(?:(?!%\})[^\n])*%\}[ \t]*)*[!-9;-~]{1,60}:", re.MULTILINE)
_HINT = "a header line is `Name: value`, and a blank line comes before the body"


@dataclass(frozen=True, slots=True)
class Field:
    """A header line, folded lines joined. `value` has the row's values enclosed, `text` is what a reader gets."""

    name: str
    value: str

    @property
    def key(self) -> str:
        """The name in lower case."""
        return self.name.lower()

    @property
    def text(self) -> str:
        """The value, without blanks around it."""
        return reveal(self.value).strip(" ")

    @property
    def is_fixed(self) -> bool:
        """True where every row has the same value."""
        return not holds_value(self.value)


class HeaderLineError(TemplateError):
    """A line of the header section is none; `line` is what it says."""

    def __init__(self, line: str) -> None:
        shown = reveal(line)[:80]
        why = "Its name must stand in the template." if holds_value(line) else "It has no name and no colon."
        super().__init__("E311", f"{shown!r} is no header line", why=why, hint=_HINT)
        self.line = line


def split_letter(letter: str) -> tuple[tuple[Field, ...], str]:
    """The fields of a rendered letter, and its body: all after the first blank line (RFC 5322 section 2.1).

    Blank lines before the first field are left out: they remain where a template begins with tags. Raises
    `HeaderLineError`.
    """
    lines = letter.lstrip("\n").split("\n")
    end = next((at for at, line in enumerate(lines) if not line.strip(_BLANKS)), len(lines))
    fields: list[Field] = []
    for line in lines[:end]:
        found = _FIELD.fullmatch(line)
        if line[0] in _BLANKS and fields:
            # A folded line: the line end goes, the blank stays (RFC 5322 section 2.2.3).
            last, more = fields.pop(), line.strip(_BLANKS)
            fields.append(Field(last.name, f"{last.value} {more}".strip(_BLANKS)))
        elif found is not None:
            fields.append(Field(found[1], found[2].strip(_BLANKS)))
        else:
            raise HeaderLineError(line)
    return tuple(fields), "\n".join(lines[end + 1 :])


def find_line(source: str, field: str, at: int = 0) -> int:
    """The line of a template, from 1, where the header `field` is written for the time `at`; 0 where it is not."""
    found = list(re.finditer(_BEGINS.format(re.escape(field)), source))
    return source.count("\n", 0, found[at].end()) + 1 if at < len(found) else 0


def written_header(source: str) -> str:
    """The header section as the template has it before it is rendered; tags may stand above it."""
    source = source.replace("\r\n", "\n")
    begin = _FIRST.search(source)
    source = source[begin.start() :] if begin is not None else source
    end = re.search(r"\n[ \t]*\n", source)
    return source if end is None else source[: end.start()]


def written_values(header: str, field: str) -> list[str]:
    """What an unrendered header section has for `field`, folded lines joined, once for each time it is there."""
    found = re.findall(_BEGINS.format(re.escape(field)) + r"(.*(?:\n[ \t].*)*)", header)
    return [re.sub(r"\n[ \t]+", " ", value).strip(_BLANKS) for value in found]


def named(fields: Iterable[Field], name: str) -> list[Field]:
    """The fields of this name, in lower case."""
    return [field for field in fields if field.key == name]

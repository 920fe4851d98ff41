"""Values: what a row put into a rendered letter, kept apart from what the template wrote until both are encoded.

Every value is enclosed in two noncharacters, and its line ends are replaced by two others. So a value never begins or
ends a header line, a part of a multipart, or the header section: only what the template wrote does.
"""

import re

# Noncharacters mean nothing to anybody else (Unicode, section 23.7). In a value they are dropped.
_OPEN, _NAMED, _CLOSE, _LF, _CR = "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3", "\ufdd4"
_LINE_ENDS = str.maketrans({"\n": _LF, "\r": _CR})
_LINE_ENDS_BACK = str.maketrans({_LF: "\n", _CR: "\r"})
_OURS = str.maketrans(dict.fromkeys((_OPEN, _NAMED, _CLOSE)))
_ENCLOSING = re.compile(f"{_OPEN}(?:[^{_OPEN}{_NAMED}{_CLOSE}]*{_NAMED})?|{_NAMED}|{_CLOSE}")
_NAMED_VALUE = re.compile(f"{_OPEN}([^{_OPEN}{_NAMED}{_CLOSE}]*){_NAMED}([^{_CLOSE}]*)")

VALUE = f"{_OPEN}[^{_OPEN}{_CLOSE}]*{_CLOSE}"
"""A value, as an expression for text in which values are enclosed; `NO_VALUE` is any other character of such a text."""
NO_VALUE = f"[^{_OPEN}]"


def enclose(value: str, column: str | None = None) -> str:
    """A value as it stands in a rendered letter; `column` names its column where it may need escaping."""
    text = _ENCLOSING.sub("", value).translate(_LINE_ENDS)
    name = "" if column is None else f"{column.translate(_OURS)}{_NAMED}"
    return f"{_OPEN}{name}{text}{_CLOSE}"


def reveal(text: str) -> str:
    """The text as the reader of the message gets it, values and their line ends in their places."""
    return _ENCLOSING.sub("", text).translate(_LINE_ENDS_BACK)


def holds_value(text: str) -> bool:
    """True where a row has a share in this text."""
    return _OPEN in text


def find_unescaped(text: str, characters: str) -> str | None:
    """The column of the first value that has one of these characters and was not escaped."""
    for column, value in _NAMED_VALUE.findall(text):
        if any(character in value for character in characters):
            return str(column)
    return None

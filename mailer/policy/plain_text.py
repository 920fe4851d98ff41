"""Plain text: the text part of a message whose template has only an HTML part (RFC 2046 section 5.1.4)."""

import re
from collections.abc import Mapping
from html import unescape
from importlib.util import find_spec

from markupsafe import escape

from mailer.policy.html_tags import TAG_REST
from mailer.vocabulary.errors import TemplateError

_REMEMBERED = 64
"""Texts that are kept. A template has as many shapes as ways through its conditions and loops."""

_TAG = re.compile(rf"<[A-Za-z/!?]{TAG_REST}")
_ANCHOR = re.compile(r"<(/?)a(?=[\s/>])", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([^\s"'<>/=]+)(?:\s*+=\s*+("[^"]*"|'[^']*'|[^\s"'<>=]+))?""")
_SHOWN_ATTRIBUTE = re.compile(r"""\b(?:href|src|alt)\s*=\s*(?:"[^"]*"|'[^']*')""", re.IGNORECASE)
_BLANKS = re.compile(r"\s+")


def can_derive_text() -> bool:
    """True where the library that makes text of HTML is installed (the extra `text`)."""
    return find_spec("html_to_markdown") is not None


class TextDeriver:
    """Makes the text part of each message from its HTML part. Threads may share it.

    The HTML of one row differs from that of the next in its values alone, most of the time. So it is the shape that is
    converted, a token in the place of each value, and for the next row of that shape only the values are put in.
    """

    def __init__(self) -> None:
        self._texts: dict[str, _Text] = {}

    def derive(self, shape: str, values: Mapping[str, str]) -> str:
        """The text of an HTML part, given as its shape and the value of each token in it.

        Raises `TemplateError` E305 where the HTML cannot be converted.
        """
        known = self._texts.get(shape)
        if known is None or any(values[token] != value for token, value in known.decisive.items()):
            known = self._learn(shape, values)
        return known.fill(values)

    def _learn(self, shape: str, values: Mapping[str, str]) -> "_Text":
        token = re.compile("|".join(map(re.escape, sorted(values, key=len, reverse=True))) or r"(?!)")
        # A value in a tag can decide what is shown (`hidden`, `style`): it is converted as it is.
        tags = " ".join(_SHOWN_ATTRIBUTE.sub("", tag) for tag in _TAG.findall(shape))
        decisive = {found: values[found] for found in token.findall(tags)}
        text = self._to_text(_TAG.sub(lambda tag: _settle(tag[0], decisive), shape) if decisive else shape)
        learnt = _Text(text, token, decisive)
        if len(self._texts) >= _REMEMBERED:
            self._texts.clear()
        self._texts[shape] = learnt
        return learnt

    def _to_text(self, html: str) -> str:
        # Compiled code of its own; folders with a text part do without.
        from html_to_markdown import ConversionOptions, OutputFormat, convert

        options = ConversionOptions(output_format=OutputFormat.PLAIN, extract_metadata=False)
        is_preformatted = "<pre" in html.lower()
        if not is_preformatted:
            html = _BLANKS.sub(" ", html)
        try:
            text = convert(_show_links(html), options).content or ""
        except Exception as error:
            # The library has no base class for its errors, and a panic of its is one of them.
            raise TemplateError(
                "E305",
                "the text part cannot be made from the HTML part",
                hint="write the text part yourself, as body.txt.j2",
                cause=f"{type(error).__name__}: {error}",
            ) from error
        if not is_preformatted:
            text = re.sub(r"(?m)^ +| +$", "", text)
        return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"


class _Text:
    """A converted shape. `decisive` are the values that it holds for these values alone."""

    def __init__(self, text: str, token: re.Pattern[str], decisive: Mapping[str, str]) -> None:
        self._pieces = token.split(text)
        self._tokens = token.findall(text)
        self.decisive = decisive

    def fill(self, values: Mapping[str, str]) -> str:
        pieces = [self._pieces[0]]
        for token, piece in zip(self._tokens, self._pieces[1:], strict=True):
            # As HTML shows it: every run of blanks is one space.
            pieces += _BLANKS.sub(" ", values[token]), piece
        return "".join(pieces)


def _settle(tag: str, decisive: Mapping[str, str]) -> str:
    for token, value in decisive.items():
        tag = tag.replace(token, escape(value))
    return tag


def _show_links(html: str) -> str:
    """The HTML with the address of each link behind it, unless that is what it shows already. No link holds another."""
    pieces: list[str] = []
    done = 0
    begun: tuple[str, int] | None = None
    for tag in _TAG.finditer(html):
        if (anchor := _ANCHOR.match(tag[0])) is None:
            continue
        if not anchor[1]:
            begun = _find_address(tag[0]), tag.end()
        elif begun is not None:
            address, start = begun
            begun = None
            pieces += html[done : tag.end()], _behind(address, html[start : tag.start()])
            done = tag.end()
    return "".join((*pieces, html[done:]))


def _find_address(tag: str) -> str:
    """What the first href of a tag says, as it is written there; empty without one."""
    for attribute in _ATTRIBUTE.finditer(tag, len("<a")):
        if attribute[1].lower() == "href":
            return (attribute[2] or "").strip("\"'").strip()
    return ""


def _behind(address: str, content: str) -> str:
    shown = unescape(_TAG.sub("", content)).strip()
    bare = unescape(address)
    if not bare or bare.startswith("#") or shown in (bare, bare.removeprefix("mailto:"), bare.removeprefix("tel:")):
        return ""
    return f" ({address.removeprefix('mailto:')})".replace("<", "&lt;")

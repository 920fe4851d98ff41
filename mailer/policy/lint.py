"""Lint: what a finished message has that mail clients show badly, or that somebody will be sorry to have sent."""

import email
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from mailer.policy.decoded_words import decode_words

if TYPE_CHECKING:
    from email.message import Message

LONGEST_SUBJECT = 78
"""Characters: no mail client shows more of a subject (RFC 5322 section 2.1.1 wants lines no longer than that)."""
LARGEST_HTML = 102_000
"""Bytes of an HTML part: Gmail cuts what is longer and hides the rest behind a link."""

FIXES: Mapping[str, str] = {
    "subject-empty": "write one into subject.txt.j2, or set subject in [campaign]",
    "subject-long": f"say the important things first, in at most {LONGEST_SUBJECT} characters",
    "braces-left": "a value of the list holds template code, or the template has it inside {% raw %}",
    "image-without-alt": 'alt="what it shows", or alt="" where it only decorates',
    "image-http": "https:// in its place, or an image inside the message (cid:)",
    "no-lang": '<html lang="en">: screen readers choose the voice by it',
    "no-title": "<title>…</title> in the head: it is the name of the page where a client shows one",
    "too-large": "shorten it, or link to the rest; images belong beside the HTML and not into it",
    "script": "leave it out: no mail client runs it, and filters take it for an attack",
    "form": "link to a page with the form: most mail clients take it away or warn of it",
    "external-css": "put the styles into <style> or style attributes; nobody loads them from outside",
}
"""How to mend what each rule finds."""

# What the findings in HTML come from: where two parts have all of it alike, so are their findings.
_TELLING = re.compile(
    r"<!--|-->|<title\b[^>]*>\s*[^\s<]?|</?(?:html|img|script|form|link|style|textarea)\b[^>]*>|@import\b",
    re.IGNORECASE,
)
_REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule (a key of `FIXES`) found; `line` is the line of the rendered HTML or text part, from 1."""

    rule: str
    message: str
    line: int | None = None


def lint(subject: str, text: str | None, html: str | None, size: int) -> list[Finding]:
    """Look at the parts of one rendered message.

    Args:
        subject: As a person reads it.
        text: The text part, None where there is none.
        html: The HTML part, likewise.
        size: Bytes of the HTML part, 0 where there is none.
    """
    return [*_lint_words(subject, text, html, size), *(_lint_html(html) if html is not None else ())]


def _lint_words(subject: str, text: str | None, html: str | None, size: int) -> Iterator[Finding]:
    if not subject.strip():
        yield Finding("subject-empty", "the subject is empty")
    if len(subject) > LONGEST_SUBJECT:
        yield Finding("subject-long", f"the subject has {len(subject)} characters: most mail clients cut it")
    for name, part in (("subject", subject), ("text part", text), ("HTML part", html)):
        if part is not None and (at := part.find("{{")) >= 0:
            line = None if part is subject else part.count("\n", 0, at) + 1
            yield Finding("braces-left", f"the {name} has {{{{ in it", line)
    if size > LARGEST_HTML:
        yield Finding("too-large", f"the HTML part has {size // 1000} kB: Gmail cuts it at {LARGEST_HTML // 1000} kB")


def _lint_html(html: str) -> list[Finding]:
    page = _Page()
    page.feed(html)
    page.close()
    if not page.has_lang:
        page.findings.append(Finding("no-lang", "the HTML part does not say its language"))
    if not page.has_title:
        page.findings.append(Finding("no-title", "the HTML part has no title"))
    return page.findings


class _Page(HTMLParser):
    """Reads one HTML part and keeps what the rules find, in its order."""

    def __init__(self) -> None:
        super().__init__()
        self.findings: list[Finding] = []
        self.has_lang = False
        self.has_title = False
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._inside = tag if tag in ("title", "style") else ""
        if tag == "html":
            self.has_lang = bool(given.get("lang", "").strip())
        elif tag == "img":
            self._look_at_image(given)
        elif tag in ("script", "form"):
            self._find(tag, f"the HTML part has a <{tag}>")
        elif tag == "link" and "stylesheet" in given.get("rel", "").lower().split():
            self._find("external-css", "the HTML part loads a style sheet")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "title" and data.strip():
            self.has_title = True
        elif self._inside == "style" and "@import" in data.lower():
            self._find("external-css", "the HTML part loads a style sheet")

    def _look_at_image(self, given: Mapping[str, str]) -> None:
        if "alt" not in given:
            self._find("image-without-alt", "an image has no alt text")
        if given.get("src", "").strip().lower().startswith("http:"):
            self._find("image-http", "an image is loaded without TLS: many mail clients do not show it")

    def _find(self, rule: str, message: str) -> None:
        self.findings.append(Finding(rule, message, self.getpos()[0]))


class Linter:
    """Lints the messages of one campaign.

    Reading HTML takes several times as long as rendering it. Messages of one template hardly differ in what the rules
    look at, so that is compared first, and findings are taken over from a message that had the same.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[str, list[Finding]] = OrderedDict()

    def lint(self, content: bytes) -> list[Finding]:
        """The findings in a finished message, attachments left out. Lines are those of the first one like it."""
        subject, text, html = read_parts(content)
        size = len(html.encode()) if html is not None else 0
        found = list(_lint_words(subject, text, html, size))
        return found + self._lint_html(html) if html is not None else found

    def _lint_html(self, html: str) -> list[Finding]:
        telling = "\n".join(_TELLING.findall(html))
        if telling in self._known:
            self._known.move_to_end(telling)
        else:
            self._known[telling] = _lint_html(html)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return self._known[telling]


def read_parts(content: bytes) -> tuple[str, str | None, str | None]:
    """Subject, text part and HTML part of a finished message, as a person reads them."""
    message = email.message_from_bytes(content)
    parts: dict[str, str] = {}
    for part in message.walk():
        kind = part.get_content_type()
        if kind in ("text/plain", "text/html") and part.get_content_disposition() != "attachment":
            parts.setdefault(kind, _decoded(part))
    return _subject(message), parts.get("text/plain"), parts.get("text/html")


def _decoded(part: "Message[str, str]") -> str:
    try:
        content = part.get_payload(decode=True)
        return content.decode(part.get_content_charset("utf-8"), "replace") if isinstance(content, bytes) else ""
    except (LookupError, ValueError, TypeError):
        # A charset that is none, or in a form that the standard library does not expect there.
        return ""


def _subject(message: "Message[str, str]") -> str:
    written = " ".join(str(message.get("Subject", "")).split("\r\n "))
    return decode_words(written)

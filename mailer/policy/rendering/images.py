"""Inline images: files of the template that its HTML shows by `cid:NAME` (RFC 2392, RFC 2387)."""

import hashlib
import re
from collections.abc import Callable
from functools import partial
from html import unescape
from pathlib import Path, PurePath
from urllib.parse import unquote

from mailer.policy.html_tags import TAG_REST
from mailer.policy.media_types import media_type
from mailer.policy.rendering.files import nearest_name, read_regular
from mailer.vocabulary.chunk import Attached
from mailer.vocabulary.errors import TemplateError

MAX_IMAGE = 10_000_000
"""Bytes of an image."""

# Only tags and style sheets are looked into: `src=cid:…` in the words of a mail is nothing but words.
_PLACE = re.compile(rf"<style\b.*?(?:</style|\Z)|<[A-Za-z]{TAG_REST}", re.IGNORECASE | re.DOTALL)
_LONGEST = 500
"""Characters of a name: what begins with many of them is not read over and over."""
_QUOTE = r"""(?:["']|&quot;|&#0?3[49];)?"""
# A name without anything of Jinja2, so the same expression finds those that a template names itself.
_REFERENCE = re.compile(
    rf"""((?:\b(?:src|background)\s*=\s*|\burl\(\s*){_QUOTE}\s*)cid:"""
    rf"""(?P<name>(?:[^\s"'<>(){{}}&;]|&amp;){{1,{_LONGEST}}}+)(?=["'\s<>)&])""",
    re.IGNORECASE,
)
# What the expression above leaves, since only the whole value tells where the name ends: `my-logo(1).png`.
_WHOLE_VALUE = re.compile(
    r"""(\b(?:src|background)\s*=\s*(?P<quote>["'])?(?(quote)\s*))cid:"""
    r"""(?P<name>(?(quote)(?:(?!(?P=quote)).)*|[^\s>]*))""",
    re.IGNORECASE | re.DOTALL,
)
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)


class Images:
    """The images of one template: in its folder, or else anywhere below the root. Each is hashed once.

    Args:
        root: What a name can reach.
        below: The template's folder, below the root.
        shown: The root as a person calls it.
    """

    def __init__(self, root: Path, below: PurePath, *, shown: PurePath) -> None:
        self._root = root
        self._below = below
        self._shown = shown
        self._found: dict[str, Attached] = {}

    def find(self, name: str) -> Attached:
        """The image that `cid:NAME` means. Raises `TemplateError` E309: there is none, or it is no image."""
        if name in self._found:
            return self._found[name]
        if not media_type(name).startswith("image/"):
            why = "A message shows images by cid:, and this is no name of one."
            raise TemplateError("E309", f"cid:{name[:200]} names no image", why=why)
        for path in dict.fromkeys(((self._below / name).as_posix(), name)):
            content = self._read(path)
            if content is not None:
                digest = hashlib.sha256(content).hexdigest()
                file_name = name.rpartition("/")[2]
                read = partial(self._read_again, path, digest)
                self._found[name] = Attached(digest=digest, size=len(content), name=file_name, read=read)
                return self._found[name]
        folder = self._shown / self._below
        near = nearest_name(self._root / self._below, name)
        hint = f"cid:{near}" if near else f"copy the image to {(folder / name).as_posix()}"
        raise TemplateError("E309", f"there is no image {name} in {folder.as_posix()}", hint=hint)

    def mix_into(self, sha256: str) -> str:
        """A hash of what has this hash, and of the images found so far; the same one where there are none."""
        if not self._found:
            return sha256
        contents = sorted((name, image.digest) for name, image in self._found.items())
        return hashlib.sha256(f"{sha256} {contents!r}".encode()).hexdigest()

    def _read(self, path: str) -> bytes | None:
        return read_regular(self._root, path, shown=self._shown, code="E309", most=MAX_IMAGE)

    def _read_again(self, path: str, digest: str) -> bytes:
        content = self._read(path)
        if content is None or hashlib.sha256(content).hexdigest() != digest:
            raise TemplateError(
                "E310",
                f"{(self._shown / path).as_posix()} changed while it was being attached",
                why="The messages would not all show the same image.",
                hint="run it again when nothing writes to the file",
            )
        return content


def link_images(
    html: str, find: Callable[[str], Attached], domain: str
) -> tuple[str, tuple[tuple[str, Attached], ...]]:
    """The HTML with a Content-ID for every `cid:NAME`, and the images by it, each once.

    A `cid:` with an @ is a Content-ID already and stays. The new ones come from the content, in `domain`.
    Raises what `find` does, also for a source that is `cid:` and no name.
    """
    images: dict[str, Attached] = {}

    def link(reference: re.Match[str]) -> str:
        if "@" in (name := _name(reference)):
            return reference[0]
        image = find(name)
        content_id = f"{image.digest[:32]}@{domain}"
        images.setdefault(content_id, image)
        return f"{reference[1]}cid:{content_id}"

    def link_all(place: re.Match[str]) -> str:
        if "cid:" not in place[0].lower():
            return place[0]
        return _WHOLE_VALUE.sub(link, _REFERENCE.sub(link, place[0]))

    return _PLACE.sub(link_all, html), tuple(images.items())


def names_in(source: str) -> list[str]:
    """The images that a template names itself, rather than by a value; each once."""
    places = _PLACE.findall(_COMMENT.sub("", source))
    names = (_name(reference) for place in places for reference in _REFERENCE.finditer(place))
    return list(dict.fromkeys(name for name in names if "@" not in name))


def _name(reference: re.Match[str]) -> str:
    """The file that a reference means: it stands in HTML, and in a URL."""
    return unquote(unescape(reference["name"])).strip()

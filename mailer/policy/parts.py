"""Parts: the frames of a multipart message, and the parts that carry files (RFC 2045, RFC 2046, RFC 2183, RFC 2387)."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

from mailer.policy.attachment_marks import mark
from mailer.policy.headers import encode_parameter
from mailer.policy.media_types import media_type
from mailer.vocabulary.chunk import Attached

MAX_FILE_NAME = 150
"""Characters of a file's name in a message."""

_CONTENT_ID = re.compile(r"[A-Za-z0-9.-]+@[A-Za-z0-9.-]+")
# Of Unicode's categories: control, format, surrogate, and what some program takes for a line end.
_LEFT_OUT = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Multipart:
    """What stands around the parts of a multipart: `begin` first part `between` second part … `end`."""

    begin: bytes
    between: bytes
    end: bytes


def frame(kind: str, seed: str, *, parameters: str = "") -> Multipart:
    """A multipart of this `kind` (`mixed`), its headers included. Equal seeds and kinds give equal boundaries.

    `parameters` are those that come before the boundary, as `encode_parameter` writes them.
    """
    # Quoted-printable never has `=_` (RFC 2045 section 6.7), nor has base64, so no body can hold the boundary.
    boundary = "=_" + hashlib.sha256(seed.encode()).hexdigest()[:32]
    head = f'Content-Type: multipart/{kind}{parameters};\r\n boundary="{boundary}"\r\n\r\n--{boundary}\r\n'
    # The CRLF in front of a delimiter belongs to the delimiter (RFC 2046 section 5.1.1); the part keeps its own.
    return Multipart(
        begin=head.encode("ascii"),
        between=f"\r\n--{boundary}\r\n".encode("ascii"),
        end=f"\r\n--{boundary}--\r\n".encode("ascii"),
    )


def attachment_part(file: Attached) -> bytes:
    """A file to be saved under its name: headers, and a mark where the content belongs."""
    return _file_part("attachment", file.name, file.digest, None)


def inline_part(file: Attached, content_id: str) -> bytes:
    """A file that the HTML part shows by `cid:` and this Content-ID (RFC 2392). Raises ValueError for a bad one."""
    if _CONTENT_ID.fullmatch(content_id) is None:
        raise ValueError(f"{content_id!r} is no Content-ID")
    return _file_part("inline", file.name, file.digest, content_id)


@lru_cache(maxsize=1024)
def _file_part(disposition: str, name: str, digest: str, content_id: str | None) -> bytes:
    shown = file_name(name)
    head = f"Content-Type: {media_type(shown)}\r\nContent-Transfer-Encoding: base64\r\n"
    if content_id is not None:
        head += f"Content-ID: <{content_id}>\r\n"
    head += f"Content-Disposition: {disposition}{encode_parameter('filename', shown)}\r\n\r\n"
    return head.encode("ascii") + mark(digest)


def file_name(path: str) -> str:
    """The name a file has in a message: the last part of its path, without what misleads a reader or a program.

    Controls, line ends and text direction overrides are left out (`invoice\\u202efdp.exe` would show as
    `invoiceexe.pdf`), encoded words are broken up, and a long name is cut in front of its suffix.
    """
    name = path.replace("\\", "/").rstrip("/").rpartition("/")[2]
    name = "".join(letter for letter in name if unicodedata.category(letter) not in _LEFT_OUT)
    name = name.replace("=?", "=_").strip()
    if len(name) > MAX_FILE_NAME:
        suffix = PurePosixPath(name).suffix[:20].rstrip()
        name = name[: MAX_FILE_NAME - len(suffix)] + suffix
    return name if name.strip(".") else "file"

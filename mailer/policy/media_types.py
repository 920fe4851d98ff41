"""Media types of files, by their names; the same on every machine, whatever its system knows (RFC 2046)."""

from functools import lru_cache
from mimetypes import MimeTypes

UNKNOWN = "application/octet-stream"
"""What any file may be called (RFC 2046 section 4.5.1)."""

# Common in mail, and not in the table of every Python that we run on.
_MORE = {
    ".avif": "image/avif",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".epub": "application/epub+zip",
    ".ics": "text/calendar",
    ".md": "text/markdown",
    ".odp": "application/vnd.oasis.opendocument.presentation",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".rtf": "application/rtf",
    ".vcf": "text/vcard",
    ".webp": "image/webp",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_COMPRESSED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}


@lru_cache(maxsize=1)
def _table() -> MimeTypes:
    table = MimeTypes()
    for suffix, kind in _MORE.items():
        table.add_type(kind, suffix)
    return table


@lru_cache(maxsize=256)
def media_type(name: str) -> str:
    """The type that a file's name stands for, in lower case and without parameters.

    Messages and multiparts are given as `UNKNOWN`: they may not be sent in base64 (RFC 2045 section 6.4), and a file
    goes out as it is.
    """
    kind, compression = _table().guess_type(f"file:///{name.rpartition('/')[2]}", strict=False)
    if compression is not None:
        return _COMPRESSED.get(compression, UNKNOWN)
    if kind is None or kind.startswith(("message/", "multipart/")):
        return UNKNOWN
    return kind.lower()

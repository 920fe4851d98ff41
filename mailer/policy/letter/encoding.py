"""Encoding: a tree of MIME parts as the bytes of a message (RFC 2045, RFC 2046)."""

from mailer.policy.attachment_marks import encode_file, mark
from mailer.policy.header_values import UnsafeValueError, name_character
from mailer.policy.headers import encode_parameter, encode_verbatim
from mailer.policy.letter.entity import Body, Entity, File, Multipart
from mailer.policy.parts import file_name, frame
from mailer.policy.quoted_printable import encode_body
from mailer.vocabulary.chunk import Attached


def encode_entity(entity: Entity, seed: str) -> bytes:
    """The part with its headers: CRLF line ends, 7-bit, no line over 998 octets, marks for attached files.

    Equal seeds give equal boundaries. Raises `UnsafeValueError`.
    """
    match entity:
        case Multipart():
            around = frame(entity.subtype, f"{seed} {entity.subtype}")
            parts = [encode_entity(part, f"{seed} {at}") for at, part in enumerate(entity.parts)]
            return around.begin + around.between.join(parts) + around.end
        case File():
            return _encode_file(entity)
        case Body():
            return _encode_body(entity)


def content_id(attached: Attached, at: int) -> str:
    """The Content-ID of the attached file number `at`: unlike any other in the message, and the same in every try."""
    return f"{attached.digest[:32]}.{at}@mailer.invalid"


def _encode_file(file: File) -> bytes:
    # As mailmerge has it: a file to be saved under its name, and an image that the HTML shows has no other type.
    name = file_name(file.attached.name)
    head = f"Content-Type: application/octet-stream{encode_parameter('name', name)}\r\n"
    head += "Content-Transfer-Encoding: base64\r\n"
    head += f"Content-Disposition: attachment{encode_parameter('filename', name)}\r\n"
    head += f"Content-ID: <{file.content_id}>\r\n\r\n"
    return head.encode("ascii") + mark(file.attached.digest)


def _encode_body(body: Body) -> bytes:
    parameters = "".join(encode_parameter(name, value) for name, value in body.parameters)
    further = b"".join(encode_verbatim(name, value) for name, value in body.headers)
    if isinstance(body.content, bytes):
        head = f"Content-Type: {body.kind}{parameters}\r\nContent-Transfer-Encoding: base64\r\n"
        return head.encode("ascii") + further + b"\r\n" + encode_file(body.content)
    try:
        content = encode_body(body.content)
    except UnicodeEncodeError as error:
        part = "HTML part" if body.kind == "text/html" else "text part"
        raise UnsafeValueError(part, f"has {name_character(error.object[error.start])}") from None
    head = f"Content-Type: {body.kind}; charset=utf-8{parameters}\r\nContent-Transfer-Encoding: quoted-printable\r\n"
    return head.encode("ascii") + further + b"\r\n" + content

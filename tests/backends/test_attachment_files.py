"""Attached files on a disk: found below the campaign's folder only. Numbers are those of the bad-input corpus."""

import hashlib
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailer.backends import attachment_files
from mailer.backends.attachment_files import AttachmentFolder
from mailer.vocabulary.errors import TemplateError

if TYPE_CHECKING:
    from mailer.vocabulary.composed import Attach


@pytest.fixture
def base(tmp_path: Path) -> Path:
    base = tmp_path / "campaign"
    (base / "invoices").mkdir(parents=True)
    (base / "invoices/7.pdf").write_bytes(b"%PDF-1.7")
    (tmp_path / "secret.pdf").write_bytes(b"secret")
    return base


def refuse(base: Path, path: str, code: str = "E309") -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        AttachmentFolder(base)(path)
    assert caught.value.code == code
    return caught.value


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that were read to be hashed."""
    paths: list[str] = []
    hash_file = attachment_files._hash

    def watched(file: object, path: str) -> tuple[str, int]:
        paths.append(path)
        return hash_file(file, path)  # type: ignore[arg-type]  # whatever it is given

    monkeypatch.setattr(attachment_files, "_hash", watched)
    return paths


def test_a_file_is_known_by_its_content(base: Path) -> None:
    """Digest, size, name, and the content again when it is asked for."""
    attach: Attach = AttachmentFolder(base)

    file = attach("invoices/7.pdf")

    assert (file.digest, file.size, file.name) == (hashlib.sha256(b"%PDF-1.7").hexdigest(), 8, "7.pdf")
    assert file.read() == b"%PDF-1.7"


# Corpus 117.
@pytest.mark.parametrize("content", [b"", b"x" * 3_000_000])
def test_a_file_of_any_size_that_fits_is_attached(base: Path, content: bytes) -> None:
    """Empty is fine; large ones are hashed piece by piece."""
    (base / "a.bin").write_bytes(content)
    file = AttachmentFolder(base)("a.bin")
    assert file.digest == hashlib.sha256(content).hexdigest()
    assert file.read() == content


def test_a_file_is_hashed_once(base: Path, hashed: list[str]) -> None:
    """As long as it stays as it is; a new content, also of the same size, is noticed."""
    attach = AttachmentFolder(base)
    first = attach("invoices/7.pdf")
    assert attach("invoices/7.pdf") == first
    assert hashed == ["invoices/7.pdf"]

    (base / "other").write_bytes(b"%PDF-1.8")
    (base / "other").replace(base / "invoices/7.pdf")

    assert attach("invoices/7.pdf").digest == hashlib.sha256(b"%PDF-1.8").hexdigest()
    assert len(hashed) == 2


def test_what_is_remembered_is_bounded(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A million rows with a file each do not fill the memory."""
    monkeypatch.setattr(attachment_files, "_REMEMBERED", 3)
    attach = AttachmentFolder(base)
    for number in range(10):
        (base / f"{number}.txt").write_text(str(number))
        attach(f"{number}.txt")
    assert len(attach._known) == 3


def test_a_file_that_changed_since_is_not_sent(base: Path) -> None:
    """Its messages would carry something else than was checked."""
    file = AttachmentFolder(base)("invoices/7.pdf")
    (base / "invoices/7.pdf").write_bytes(b"%PDF-1.8")
    with pytest.raises(TemplateError) as caught:
        file.read()
    assert caught.value.code == "E310"
    assert "invoices/7.pdf" in caught.value.message


def test_a_file_that_is_gone_since_is_missed(base: Path) -> None:
    """Reading it again says so as finding it would have."""
    file = AttachmentFolder(base)("invoices/7.pdf")
    (base / "invoices/7.pdf").unlink()
    with pytest.raises(TemplateError) as caught:
        file.read()
    assert caught.value.code == "E309"


def test_a_missing_file_names_the_nearest(base: Path) -> None:
    """In the same folder, with its whole path."""
    error = refuse(base, "invoices/7.pfd")
    assert error.message == "there is no file invoices/7.pfd to attach"
    assert error.hint == "did you mean invoices/7.pdf?"
    assert refuse(base, "invoices/zzzzzz").hint is None
    assert refuse(base, "nowhere/7.pdf").hint is None
    assert refuse(base, "invoices/7.pdf/x").hint is None


# Corpus 107-110.
@pytest.mark.parametrize(
    "path",
    [
        "../secret.pdf",
        "invoices/../../secret.pdf",
        "invoices/../invoices/7.pdf",
        "/etc/passwd",
        "//etc/passwd",
        "..\\secret.pdf",
        "invoices\\7.pdf",
        "link.pdf",
        "linked/secret.pdf",
        "loop",
    ],
)
def test_nothing_outside_of_the_folder_is_attached(base: Path, path: str) -> None:
    """No parent, no absolute path, no foreign separator, no link that leads out or nowhere."""
    (base / "link.pdf").symlink_to(base.parent / "secret.pdf")
    (base / "linked").symlink_to(base.parent)
    (base / "loop").symlink_to("loop")
    refuse(base, path)


def test_a_link_that_stays_below_the_folder_is_fine(base: Path) -> None:
    """And the name is that of the link."""
    (base / "latest.pdf").symlink_to("invoices/7.pdf")
    assert AttachmentFolder(base)("latest.pdf").name == "latest.pdf"


def test_a_link_that_is_turned_around_is_noticed(base: Path) -> None:
    """What was found once is looked at again each time."""
    (base / "latest.pdf").symlink_to("invoices/7.pdf")
    attach = AttachmentFolder(base)
    file = attach("latest.pdf")
    (base / "latest.pdf").unlink()
    (base / "latest.pdf").symlink_to(base.parent / "secret.pdf")
    for look in (lambda: attach("latest.pdf"), file.read):
        with pytest.raises(TemplateError) as caught:
            look()
        assert caught.value.code == "E309"


# Corpus 111-114.
@pytest.mark.parametrize(
    "path", ["fifo", "socket", "zero", "invoices", "", ".", "a\0.txt", "a\nb", "a\udcff", "x" * 5_000]
)
def test_nothing_but_a_regular_file_is_attached(base: Path, path: str) -> None:
    """A pipe without a writer, a device, a folder: refused at once, and never read."""
    os.mkfifo(base / "fifo")
    (base / "zero").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listener:
        before = Path.cwd()
        os.chdir(base)
        try:
            listener.bind("socket")
        finally:
            os.chdir(before)
        refuse(base, path)


# Corpus 118.
def test_a_file_that_fits_no_message_is_not_even_read(base: Path, hashed: list[str]) -> None:
    """A sparse file of two gigabytes costs nothing; base64 counts."""
    with (base / "huge.bin").open("wb") as file:
        file.truncate(2 * 10**9)
    error = refuse(base, "huge.bin", "E308")
    assert "2000000000 bytes" in error.message
    with pytest.raises(TemplateError):
        AttachmentFolder(base, max_size=10)("invoices/7.pdf")
    assert AttachmentFolder(base, max_size=14)("invoices/7.pdf").size == 8
    assert hashed == ["invoices/7.pdf"]


def test_an_unreadable_file_says_how_to_make_it_readable(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Permissions are the likeliest reason; the test may be run by somebody who has them all."""

    def deny(path: Path, flags: int) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", deny)
    assert refuse(base, "invoices/7.pdf").hint == "chmod u+r invoices/7.pdf"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=40) | st.lists(st.sampled_from(["..", ".", "invoices", "7.pdf", "", "\\", "~"])).map("/".join))
def test_any_path_at_all_is_a_file_below_or_an_error(base: Path, path: str) -> None:
    """Nothing else is ever raised, and nothing else is ever read."""
    with suppress(TemplateError):
        assert AttachmentFolder(base)(path).read() == b"%PDF-1.7"

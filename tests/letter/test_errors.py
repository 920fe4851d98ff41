"""What is wrong with a letter: code, file and line, and a way to mend it."""

import time
from pathlib import Path

import pytest

from mailer.policy.header_values import UnsafeValueError
from mailer.policy.letter.header_section import find_line, written_header, written_values
from mailer.policy.rendering import RowRenderError
from mailer.vocabulary.errors import TemplateError
from mailer.vocabulary.settings import CampaignSettings
from tests.letter.letters import ANN, HEAD, NAME, load, load_file, receive


def failure(folder: Path, letter: str, row: dict[str, object] | None = None) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        receive(load(folder, letter), row or ANN, number=17)
    return caught.value


@pytest.mark.parametrize(
    ("letter", "line", "word"),
    [
        ("To: {{ email }}\nSubject: Hi {{ first_name }}\nFrom: a@acme.example\n\nHi\n", 2, "first_name"),
        (f"{HEAD}\nHi,\n\ndear {{{{ first_name }}}}\n", 7, "first_name"),
        (f"{HEAD}Content-Type: text/html\n\n<p>{{{{ first_name | upper }}}}</p>\n", 6, "first_name"),
        (f"{HEAD}Attachment: {{{{ first_name }}}}.pdf\n\nHi\n", 4, "first_name"),
    ],
)
def test_a_missing_variable_names_row_line_and_place(tmp_path: Path, letter: str, line: int, word: str) -> None:
    """As with a template folder: the row, the file and line, a caret, and the columns there are."""
    error = failure(tmp_path, letter)
    assert isinstance(error, RowRenderError)
    assert (error.code, error.row, error.source, error.line) == ("E301", 17, "list.csv", line)
    assert error.message == "the template needs first_name"
    first, caret = str(error.where).split("\n")
    assert first.startswith(f"{(tmp_path / NAME).as_posix()}:{line}   ")
    assert caret.index("^") == first.index(word)
    assert error.why == "columns: email, name"
    assert "{{ first_name | default(" in str(error.hint)


def test_a_column_that_the_list_lacks_is_told_before_the_first_row(tmp_path: Path) -> None:
    """`first_lack` says where; a list that has all lacks nothing."""
    form = load(tmp_path, f"{HEAD}\nHi {{{{ first_name }}}}\n")
    assert form.variables == {"email", "name", "first_name"}
    assert str(form.first_lack(["email", "name"], "list.csv")).startswith(f"{(tmp_path / NAME).as_posix()}:5   Hi")
    assert form.first_lack(["email", "name", "first_name"], "list.csv") is None


@pytest.mark.parametrize("letter", ["", "\n\n", " \r\n"])
def test_an_empty_file_says_so(tmp_path: Path, letter: str) -> None:
    """E311 with the file, before any row."""
    with pytest.raises(TemplateError, match="the file is empty") as caught:
        load(tmp_path, letter)
    assert (caught.value.code, caught.value.where) == ("E311", (tmp_path / NAME).as_posix())


def test_a_body_alone_has_no_header_line(tmp_path: Path) -> None:
    """E311 of the row, also where blank lines come first."""
    with pytest.raises(TemplateError) as caught:
        receive(load(tmp_path, "\n\nHello\n"), address="ann@example.com")
    assert caught.value.code == "E311"


def test_many_tags_in_one_line_are_read_in_one_pass(tmp_path: Path) -> None:
    """Looking for the header lines takes time that grows with the length alone."""
    tags = "{% if 1 %}" * 18 + "{% endif %}" * 18
    letter = f"{tags}\n{HEAD}\n{tags} hello\n"
    started = time.process_time()
    assert written_values(written_header(letter * 50), "to") == ["{{ email }}"]
    assert find_line(letter * 50, "subject") == 4
    load(tmp_path, letter)
    assert time.process_time() - started < 2


def test_a_syntax_error_names_its_line(tmp_path: Path) -> None:
    """E302, before any row."""
    with pytest.raises(TemplateError, match="syntax error") as caught:
        load(tmp_path, f"{HEAD}\nHi {{{{ name }}\n")
    assert caught.value.code == "E302"
    assert f"{NAME}:5" in str(caught.value.where)


@pytest.mark.parametrize(
    ("letter", "message", "line"),
    [
        ("To: {{ email }}\nDear {{ name }}\nFrom: a@acme.example\n\nHi\n", "'Dear Ann' is no header line", None),
        ("To: {{ email }}\nDear all,\n\nHi\n", "'Dear all,' is no header line", 2),
        (" To: {{ email }}\n\nHi\n", "' To: ann@example.com' is no header line", None),
        ("To: {{ email }}\nSubject: x\n\nFrom: a@acme.example\n\nHi\n", "the letter has no From", None),
        ("To: {{ email }}\nFrom: a@acme.example\n\nHi\n", "the letter has no Subject", None),
        (f"{HEAD}SUBJECT: again\n\nHi\n", "the header SUBJECT is there twice", None),
        ("To: {{ email }}\nFrom: a@b@acme.example\nSubject: x\n\nHi\n", "the From has 'a@b@acme.example'", 2),
        ("To: {{ email }}\nFrom: a@acme.example, b@acme.example\nSubject: x\n\nHi\n", "the From is not one address", 2),
        ("To: {{ email }}\nFrom: a@acme.example\nSubject: =?utf-8?q?x?=\n\nHi\n", "the Subject has an encoded word", 3),
        (f"{HEAD}Cc: nobody\n\nHi\n", "the Cc has 'nobody'", 4),
        (f"{HEAD}List-Unsubscribe: <https://acme.example/ü>\n\nHi\n", "the List-Unsubscribe must be ASCII", 4),
        (f"{HEAD}Attachment:\n\nHi\n", "the header Attachment names no file", 4),
    ],
)
def test_a_broken_header_section_names_its_line(tmp_path: Path, letter: str, message: str, line: int | None) -> None:
    """E311: what the template itself has wrong is no fault of a row."""
    error = failure(tmp_path, letter)
    assert error.code == "E311"
    assert message in error.message
    assert error.hint is not None
    if line is not None:
        assert f"{NAME}:{line} " in str(error.where)


@pytest.mark.parametrize("name", ["Message-ID", "Date", "DKIM-Signature", "Received", "Resent-To", "Content-Language"])
def test_a_header_that_no_campaign_may_add_is_refused(tmp_path: Path, name: str) -> None:
    """E306: mailer or the relay writes these."""
    error = failure(tmp_path, f"{HEAD}X-Kind: a\n{name}: x\n\nHi\n")
    assert error.code == "E306"
    assert f"{NAME}:5 " in str(error.where)


@pytest.mark.parametrize(
    "path",
    ["../file2.pdf", "/z/shared/{{ name }}_submission.txt", "~/file.txt", "a/../../x", "link.txt", "folder", "none"],
)
def test_a_file_outside_of_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    """E309 names the line, says why, and nothing outside is ever read."""
    folder = tmp_path / "campaign"
    (folder / "folder").mkdir(parents=True)
    (tmp_path / "file2.pdf").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "file2.pdf")
    error = failure(folder, f"{HEAD}Attachment: {path}\n\nHi\n")
    assert error.code == "E309"
    assert f"{NAME}:4 " in str(error.where)


def test_the_line_of_an_attachment_is_its_own(tmp_path: Path) -> None:
    """Of several Attachment lines the error names the one that is wrong."""
    (tmp_path / "a.txt").write_text("A")
    error = failure(tmp_path, f"{HEAD}Attachment: a.txt\nAttachment: {{{{ name }}}}.txt\n\nHi\n")
    assert f"{NAME}:5 " in str(error.where)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/pdf", "x"),
        ("message/rfc822", "Subject: x\n\nHi"),
        ("multipart/alternative", "--b\nContent-Type: text/plain\n\nHi"),
        ('multipart/alternative; boundary="b"', "Hi"),
        ('multipart/mixed; boundary="b"', "--b\nContent-Type: message/rfc822\n\nSubject: x\n\nHi\n--b--"),
        ('multipart/mixed; boundary="b"', "--b\nContent-Transfer-Encoding: uuencode\n\nHi\n--b--"),
        (
            'multipart/mixed; boundary="b"',
            "--b\nContent-Type: text/plain; charset=no-such\nContent-Transfer-Encoding: base64\n\nSGk=\n--b--",
        ),
    ],
)
def test_a_part_that_cannot_be_built_is_told(tmp_path: Path, kind: str, body: str) -> None:
    """E312 names what it was asked for, and the line of the Content-Type."""
    error = failure(tmp_path, f"{HEAD}Content-Type: {kind}\n\n{body}\n")
    assert error.code == "E312"
    assert f"{NAME}:4 " in str(error.where)


def test_parts_do_not_nest_without_end(tmp_path: Path) -> None:
    """E312 rather than a recursion that ends the process."""
    body = "".join(f'--b{at}\nContent-Type: multipart/mixed; boundary="b{at + 1}"\n\n' for at in range(60))
    error = failure(tmp_path, f'{HEAD}Content-Type: multipart/mixed; boundary="b0"\n\n{body}--b60\n\nHi\n')
    assert error.code == "E312"


@pytest.mark.parametrize(
    "body",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ ('a{0.__class__}'|attr('format'))(1) }}",
        "{% filter upper %}{{ lipsum.__globals__ }}{% endfilter %}",
    ],
)
def test_the_sandbox_holds(tmp_path: Path, body: str) -> None:
    """E304, as with a template folder."""
    assert failure(tmp_path, f"{HEAD}\n{body}\n").code in ("E304", "E301")


def test_a_letter_cannot_make_endless_text(tmp_path: Path) -> None:
    """E307, as with a template folder."""
    assert failure(tmp_path, f"{HEAD}\n{{{{ 'a' * 10**9 }}}}\n").code == "E307"


@pytest.mark.parametrize("name", ["../secret.txt", "link.txt"])
def test_includes_stay_below_the_folder(tmp_path: Path, name: str) -> None:
    """E303, also through a symbolic link."""
    folder = tmp_path / "campaign"
    folder.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(TemplateError) as caught:
        load(folder, f"{HEAD}\n{{% include '{name}' %}}\n")
    assert caught.value.code == "E303"


def test_a_letter_that_is_not_there_is_told(tmp_path: Path) -> None:
    """E303 names the path."""
    with pytest.raises(TemplateError, match=r"there is no template .*none\.txt") as caught:
        load_file(tmp_path / "none.txt")
    assert caught.value.code == "E303"


def test_a_letter_that_is_not_utf_8_is_told(tmp_path: Path) -> None:
    """E303, with what to do."""
    (tmp_path / NAME).write_bytes(HEAD.encode("utf-16"))
    with pytest.raises(TemplateError, match="UTF-8") as caught:
        load_file(tmp_path / NAME)
    assert caught.value.code == "E303"


def test_a_row_without_anybody_is_left_out(tmp_path: Path) -> None:
    """An empty To, or one whose value is no address, is the row's fault."""
    form = load(tmp_path, "To: {{ email }}\nBcc: b@example.com\nFrom: a@acme.example\nSubject: x\n\nHi\n")
    for value in ("", "  ", "nobody"):
        with pytest.raises(UnsafeValueError):
            receive(form, {"email": value})


def test_headers_of_the_settings_are_checked_when_it_is_loaded(tmp_path: Path) -> None:
    """E306, before any row."""
    with pytest.raises(TemplateError) as caught:
        load(tmp_path, HEAD + "\nHi\n", CampaignSettings(headers={"Message-ID": "x"}))
    assert caught.value.code == "E306"

"""Inline images: `cid:NAME` in the HTML part, and the file beside the template that it means."""

import os
import timeit
from pathlib import Path

import pytest

from mailer.policy.rendering.images import link_images
from mailer.vocabulary.errors import TemplateError
from tests.policy.composing import ANN, Desk, attached, content_of, html_of, occasion, part_of, read, structure
from tests.thorough import thorough

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.write("subject.txt.j2", "News")
    desk.write("body.txt.j2", "Hello")
    desk.write("logo.png", PNG)
    return desk


def refuse(desk: Desk, html: str, **columns: object) -> TemplateError:
    desk.write("body.html.j2", html)
    with pytest.raises(TemplateError) as caught:
        desk.compose(columns)
    assert caught.value.code == "E309"
    return caught.value


@pytest.mark.parametrize(
    "html",
    [
        '<img src="cid:logo.png">',
        "<img alt='a' SRC = 'cid:logo.png' >",
        "<img src=cid:logo.png>",
        '<td background="cid:logo.png">x</td>',
        "<p style=\"background:url('cid:logo.png')\">x</p>",
        '<p style="background: url( cid:logo.png )">x</p>',
        '<p style="background:url(&quot;cid:logo.png&quot;)">x</p>',
        '<style>p { background: url("cid:logo.png") }</style><p>x</p>',
        '<!--[if mso]><v:fill type="tile" src="cid:logo.png" /><![endif]-->',
        '<img src="{{ image }}">',
        '<img src="cid:{{ name }}.png">',
        '<img src="cid:%6Cogo.png">',
        '<img alt="a > b" src="cid:logo.png">',
        "<img alt='a < b' src='cid:logo.png'>",
        '<img alt="5" < src="cid:logo.png">',
        "<img alt=it's src=\"cid:logo.png\"><p title='x'>y</p>",
        '<img alt="{{ 1 if 2 > 1 }}>" src="cid:logo.png">',
        "<style>p > a { background: url(cid:logo.png) }",
    ],
)
def test_an_image_travels_with_the_html_that_shows_it(desk: Desk, html: str) -> None:
    """The reference and the Content-ID are the same, and the file is byte for byte the one of the template."""
    desk.write("body.html.j2", html)

    composed = desk.compose({"name": "logo", "image": "cid:logo.png"})
    message = read(composed)
    image = part_of(message, "image/png")

    assert structure(message) == (
        "multipart/alternative",
        ["text/plain", ("multipart/related", ["text/html", "image/png"])],
    )
    assert content_of(image) == PNG
    assert image["Content-ID"].startswith("<")
    assert f"cid:{image['Content-ID'][1:-1]}" in html_of(message)
    assert image.get_filename() == "logo.png"
    assert image.get_content_disposition() == "inline"
    assert part_of(message, "text/html")["Content-Type"].params["charset"] == "utf-8"
    assert [file.size for file in composed.attached] == [len(PNG)]


def test_an_image_that_is_shown_twice_travels_once(desk: Desk) -> None:
    """And two files of one content are one image."""
    desk.write("copy.png", PNG)
    desk.write("body.html.j2", '<img src="cid:logo.png"><img src="cid:logo.png"><img src="cid:copy.png">')
    message = read(desk.compose())
    assert structure(message) == (
        "multipart/alternative",
        ["text/plain", ("multipart/related", ["text/html", "image/png"])],
    )
    assert html_of(message).count(part_of(message, "image/png")["Content-ID"][1:-1]) == 3


def test_everything_together_has_the_structure_that_is_promised(desk: Desk) -> None:
    """mixed(alternative(text, related(html, images)), files)."""
    desk.write("photo.jpg", b"\xff\xd8")
    desk.write("body.html.j2", '<img src="cid:logo.png"><img src="cid:photo.jpg">')
    desk.shelf.files = {"a.pdf": b"%PDF"}
    assert structure(read(desk.compose(attachments=("a.pdf",)))) == (
        "multipart/mixed",
        [
            (
                "multipart/alternative",
                ["text/plain", ("multipart/related", ["text/html", "image/png", "image/jpeg"])],
            ),
            "application/pdf",
        ],
    )


def test_an_image_may_lie_anywhere_below_templates(desk: Desk, tmp_path: Path) -> None:
    """The template's own folder is looked at first."""
    (tmp_path / "templates/shared").mkdir()
    (tmp_path / "templates/shared/foot.gif").write_bytes(b"GIF89a")
    desk.write("body.html.j2", '<img src="cid:shared/foot.gif">')
    assert content_of(part_of(read(desk.compose()), "image/gif")) == b"GIF89a"


def test_a_content_id_is_left_alone(desk: Desk) -> None:
    """What has an @ is a Content-ID already; whoever writes it knows why."""
    desk.write("body.html.j2", '<img src="cid:part1@acme.example">')
    composed = desk.compose()
    assert composed.attached == ()
    assert html_of(read(composed)) == '<img src="cid:part1@acme.example">\n'


@pytest.mark.parametrize("name", ["my-logo(1).png", "a;b.png", "two words.png", "{x}.png"])
def test_a_name_that_only_a_whole_value_ends_is_an_image_too(desk: Desk, name: str) -> None:
    """Where the file is there it travels with the message, and where it is not the row cannot be built."""
    html = "{% raw %}" + f'<img src="cid:{name}">' + "{% endraw %}"
    if " " not in name:
        desk.write(name, PNG)
        desk.write("body.html.j2", html)
        (image,) = desk.compose().attached
        assert image.read() == PNG
    refuse(desk, html.replace(".png", "-lost.png"))


@pytest.mark.parametrize("html", ['<img src="cid:">', "<img src=cid:(1).png>", '<img alt="1 > 0" src="cid:x(1).png">'])
def test_no_source_stays_a_name(desk: Desk, html: str) -> None:
    """What would be a broken image in every mailbox is an error, E309."""
    refuse(desk, html)


@pytest.mark.parametrize("begin", ["<a '\"", *thorough("<style ", '<a "', "<a =\"'", "<a", '<a " ="')])
def test_html_full_of_begun_tags_is_read_in_one_pass(begin: str) -> None:
    """Time grows with the length alone."""

    def seconds(times: int) -> float:
        html = begin * times + "cid:"
        return min(timeit.repeat(lambda: link_images(html, pytest.fail, "acme.example"), number=1, repeat=2))

    assert seconds(20_000) < 50 * seconds(2_000) + 0.1


@pytest.mark.thorough
@pytest.mark.parametrize(
    "begin", ["src=cid:a.", *thorough("src=cid:(", "src='cid:@ ", "src='cid:\"", "url(cid:", "src = ")]
)
def test_a_tag_full_of_begun_references_is_read_in_one_pass(begin: str) -> None:
    """A row's value can be all of a tag."""
    image = attached("a.png", PNG)

    def seconds(times: int) -> float:
        html = f"<img {begin * times}(@"
        return min(timeit.repeat(lambda: link_images(html, lambda name: image, "acme.example"), number=1, repeat=2))

    assert seconds(20_000) < 50 * seconds(2_000) + 0.1


def test_words_are_no_references(desk: Desk) -> None:
    """`src="cid:…"` in what a mail says, or in what a row says, names no image."""
    html = '<p>Write src="cid:x.png" or url(cid:y.png): {{ name }}</p>{# <img src="cid:z.png"> #}'
    desk.write("body.html.j2", html)
    assert desk.compose({"name": '<img src="cid:evil.png">'}).attached == ()


def test_an_unknown_image_names_the_line_and_the_nearest_one(desk: Desk) -> None:
    """It is found when the template is loaded, before any row."""
    desk.write("body.html.j2", 'Hello\n<img src="cid:lgo.png">')
    with pytest.raises(TemplateError) as caught:
        desk.form()
    assert caught.value.code == "E309"
    assert caught.value.message == "there is no image lgo.png in templates/hello"
    assert caught.value.where == 'templates/hello/body.html.j2:2   <img src="cid:lgo.png">'
    assert caught.value.hint == "cid:logo.png"


def test_an_image_that_a_row_names_and_that_is_not_there_fails_the_row(desk: Desk) -> None:
    """The line is that of the template; the name is that of the row."""
    error = refuse(desk, 'Hello\n<img src="cid:{{ name }}.png">', name="missing")
    assert "missing.png" in error.message
    assert str(error.where).startswith("templates/hello/body.html.j2:2   ")


# Corpus 107-114.
@pytest.mark.parametrize(
    "name",
    ["../secret.png", "/etc/x.png", "..\\secret.png", "a/../../../secret.png", "link.png", "fifo.png", "dir.png"],
)
def test_no_image_leaves_the_root(desk: Desk, tmp_path: Path, name: str) -> None:
    """Whatever a row or a link says, only regular files below the root are read."""
    (tmp_path / "secret.png").write_bytes(PNG)
    folder = tmp_path / "templates/hello"
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "dir.png").mkdir()
    os.mkfifo(folder / "fifo.png")
    refuse(desk, '<img src="cid:{{ name }}">', name=name)


@pytest.mark.parametrize("name", ["body.html.j2", "subject.txt.j2", "x", "x.html", "x.eml"])
def test_only_images_are_shown(desk: Desk, name: str) -> None:
    """A template's own sources are nothing that a row may ask for."""
    refuse(desk, '<img src="cid:{{ name }}">', name=name)


def test_an_image_is_part_of_what_the_campaign_is(desk: Desk) -> None:
    """Another content is another campaign; and a file that changed meanwhile is not sent."""
    desk.write("body.html.j2", '<img src="cid:logo.png">')
    form = desk.form()
    (image,) = form.compose({}, ANN, occasion()).attached
    assert image.read() == PNG

    desk.write("logo.png", PNG + b"!")

    assert desk.form().sha256 != form.sha256
    with pytest.raises(TemplateError) as caught:
        image.read()
    assert caught.value.code == "E310"

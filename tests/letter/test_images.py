"""Images of letters: which sources are taken for attached files."""

import time

import pytest

from mailer.policy.letter.images import refer_to_attached

IDS = {"a.png": "1@x.invalid", "b c/ü.png": "2@x.invalid"}


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<img src="a.png">', '<img src="cid:1@x.invalid">'),
        ("<img src=a.png>", '<img src="cid:1@x.invalid">'),
        ("<IMG alt='x > y' SRC='./a.png'/>", "<IMG alt='x > y' SRC=\"cid:1@x.invalid\"/>"),
        ('<img alt="src=a.png" src = "b c/&uuml;.png">', '<img alt="src=a.png" src = "cid:2@x.invalid">'),
        ('<img data-src="a.png">', None),
        ('<image src="a.png">', None),
        ('<img src="https://acme.example/a.png">', None),
        ('<!-- <img src="a.png"> -->', None),
        ('<script>"<img src=a.png>"</script>', None),
        ('<textarea><img src="a.png">', None),
        ('<img src="a.png"', None),
        ('<!-- <img src="a.png">', None),
        ('<a href="a.png">a.png</a>', None),
        ('<!----><img src="a.png">', '<!----><img src="cid:1@x.invalid">'),
        ('<style>p{}</style><img src="a.png">', '<style>p{}</style><img src="cid:1@x.invalid">'),
    ],
)
def test_the_source_of_an_image_becomes_its_content_id(html: str, expected: str | None) -> None:
    """Only of images, only where the path is that of an attached file; all else stays byte for byte."""
    assert refer_to_attached(html, IDS) == (html if expected is None else expected)


@pytest.mark.thorough
@pytest.mark.parametrize("piece", ["<", "<!--", "<img ", '<img "', "<script>", "<img src=", "<img a='"])
def test_hostile_markup_takes_no_long_time(piece: str) -> None:
    """Two million characters of tags that never end: far from quadratic."""
    began = time.process_time()
    refer_to_attached(piece * (2_000_000 // len(piece)), IDS)
    assert time.process_time() - began < 10

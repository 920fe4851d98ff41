"""Markdown: what letters rely on, as Python-Markdown with nl2br has it."""

import pytest

from mailer.policy.markdown import to_html
from tests.letter.dom import normalised


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("one\ntwo", "<p>one<br>two</p>"),
        ("one\n\ntwo", "<p>one</p><p>two</p>"),
        ("Regards,\n- Ann", "<p>Regards,<br>- Ann</p>"),
        ("Regards,\n1. Ann", "<p>Regards,<br>1. Ann</p>"),
        ("Fruit:\n\n- an apple\n- a pear", "<p>Fruit:</p><ul><li>an apple</li><li>a pear</li></ul>"),
        ("- a\n    - b\n    - c\n- d", "<ul><li>a<ul><li>b</li><li>c</li></ul></li><li>d</li></ul>"),
        ("<b>raw</b> &amp; AT&T <", "<p><b>raw</b> &amp; AT&amp;T &lt;</p>"),
        ("<div>\n<i>block</i>\n</div>", "<div>\n<i>block</i>\n</div>"),
        ("![ü](bild ü.png)", "<p>![ü](bild ü.png)</p>"),
        ("![x](bild-ü.png)", '<p><img src="bild-ü.png" alt="x"></p>'),
        ("[a](b?x=1&y=2)", '<p><a href="b?x=1&amp;y=2">a</a></p>'),
        ("[a](javascript:x)", "<p>[a](javascript:x)</p>"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "<p>| a | b |<br>|---|---|<br>| 1 | 2 |</p>"),
        ("", ""),
    ],
)
def test_markdown_becomes_this_html(markdown: str, html: str) -> None:
    """Line ends are kept, lists need a blank line, raw HTML passes, and there are no tables."""
    assert normalised(to_html(markdown)) == normalised(html)

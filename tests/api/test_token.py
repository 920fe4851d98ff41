"""The token of an unsubscribe link is read by whoever has the secret."""

import pytest

import mailer
from mailer.capture.server import CaptureServer
from mailer.testing import Outbox


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MAILER_TOKEN_SECRET", "a secret of some length")
    return "a secret of some length"


def test_a_link_tells_campaign_and_address(
    secret: str, smtp_capture: CaptureServer, outbox: Outbox, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Nothing without the secret, and nothing for a token that was changed."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "letter.txt").write_text("To: {{ email }}\nFrom: me@acme.example\nSubject: hi\n\nleave: {{ token }}\n")
    (folder / "people.csv").write_text("email\nann@shop.example\n")
    report = mailer.Campaign(template="letter.txt", recipients="people.csv", folder=folder).send()
    assert report.totals.sent == 1
    token = str(outbox[0].get_content()).split()[-1]
    read = mailer.read_token(secret, token)
    assert read is not None
    assert read[0].startswith("letter-")
    assert read[1] == "ann@shop.example"
    assert mailer.read_token("another secret of length", token) is None
    assert mailer.read_token(secret, token[:-1]) is None

"""A pupil with a queue of his own on the shared server."""

import secrets
from pathlib import Path

import pytest

from tests.cli.running import Warm
from tests.tutorials.pupil import Pupil


@pytest.fixture
def pupil(tmp_path: Path, valkey_url: str, warm: Warm) -> Pupil:
    pupil = Pupil(tmp_path, warm)
    pupil.environ = {
        "MAILER_REDIS_URL": valkey_url,
        "MAILER_QUEUE__PREFIX": f"pupil-{secrets.token_hex(5)}",
    }
    pupil.writes()
    return pupil

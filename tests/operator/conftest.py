"""A shell."""

from pathlib import Path

import pytest

from mailer.backends.redis.ledgers import Ledgers
from tests.cli.running import Warm
from tests.operator.console import Console


@pytest.fixture
def console(ledgers: Ledgers, tmp_path: Path, warm: Warm) -> Console:
    """A shell whose queue is the ledger of this test."""
    return Console(ledgers, tmp_path, warm)

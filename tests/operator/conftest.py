"""The servers that these tests use, and a shell."""

from pathlib import Path

import pytest

from mailer.backends.redis.ledgers import Ledgers
from tests.operator.console import Console
from tests.servers import ledgers, own_server, valkey_url

__all__ = ["console", "ledgers", "own_server", "valkey_url"]


@pytest.fixture
def console(ledgers: Ledgers, tmp_path: Path) -> Console:
    """A shell whose queue is the ledger of this test."""
    return Console(ledgers, tmp_path)

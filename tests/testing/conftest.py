"""The desk of a test that needs no server, and the queue server that the ledger in memory is compared with."""

from mailer.testing import memory_mailer
from tests.api.conftest import desk
from tests.servers import valkey_url

__all__ = ["desk", "memory_mailer", "valkey_url"]

"""The servers that these tests use."""

from tests.servers import ledgers, own_server, valkey_url

__all__ = ["ledgers", "own_server", "valkey_url"]

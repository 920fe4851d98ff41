"""The servers that these tests use."""

from tests.servers import ledgers, valkey_url

__all__ = ["ledgers", "valkey_url"]

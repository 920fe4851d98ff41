"""The ledger in memory, for tests: the twin of the one in Redis."""

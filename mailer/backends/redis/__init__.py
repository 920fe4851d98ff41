"""The ledger and the queue in Redis."""

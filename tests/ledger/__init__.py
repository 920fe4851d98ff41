"""Promises of the ledger, kept by a real server."""

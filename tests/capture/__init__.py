"""Promises of the capture server."""

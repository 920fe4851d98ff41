"""Promises of the SMTP session and its pool."""

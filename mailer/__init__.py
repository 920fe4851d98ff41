"""Asynchronous, queued, exact bulk mail for people who write scripts."""

__version__ = "0.1.0"

"""Sources of recipients for scripts: what can stand at `Campaign(recipients=…)` besides a file."""

from mailer.backends.sources.query import query

__all__ = ["query"]

"""The desk of a test that needs no server."""

from mailer.testing import memory_mailer
from tests.api.conftest import desk

__all__ = ["desk", "memory_mailer"]

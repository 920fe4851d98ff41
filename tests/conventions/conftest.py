"""Desks to run commands from, as the tests of the command line have them."""

from tests.cli.conftest import backstage, desk, own_desk, relay, scripted, shared_queue

__all__ = ["backstage", "desk", "own_desk", "relay", "scripted", "shared_queue"]

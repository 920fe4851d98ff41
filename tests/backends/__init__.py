"""Promises of what touches the world."""

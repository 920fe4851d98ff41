"""Promises of the worker processes, kept by real ones."""

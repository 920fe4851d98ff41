"""Decisions as plain functions: nothing here waits, and `now` is always an argument."""

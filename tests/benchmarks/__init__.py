"""Promises of the measurements: what they count, what they leave behind, what they say. None is about speed."""

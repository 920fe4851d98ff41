"""Promises of what happens to a campaign, from its rows to its report."""

"""Promises of the pace: no relay and no domain gets more than was agreed, however many workers there are."""

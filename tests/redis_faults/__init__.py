"""The queue server is killed, rolled back, emptied, filled up or slow: what becomes of the mail."""

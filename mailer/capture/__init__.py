"""A mail server that delivers nothing: it captures, and misbehaves on request. For the demo, for tests, for a try."""

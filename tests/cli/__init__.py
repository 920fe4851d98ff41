"""The command line, started the way a user starts it."""

"""The arguments of every command; what a command does is imported when it is called."""

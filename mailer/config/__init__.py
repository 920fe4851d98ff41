"""The only room that reads the environment and configuration files."""

"""What touches the world: Redis, SMTP connections, files, server processes."""

"""The sockets between what happens to a campaign and what touches the world, short enough to memorise."""

"""Faults: what holds when workers, the queue server, the network or the relay break, at every moment there is."""

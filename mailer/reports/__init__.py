"""A delivery report in each of its forms: terminal, HTML, CSV, JSON, JSON Lines."""

"""Forms of a template: each makes, of a row, a whole message with its recipients."""

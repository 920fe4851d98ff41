"""The demo's campaign: a template, a list with an address for every outcome, and what is to become of each."""

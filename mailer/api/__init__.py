"""The script API: what `from mailer import …` gives to programs."""

"""Relays to send to: one that misbehaves by name, aiosmtpd, and a real Postfix."""

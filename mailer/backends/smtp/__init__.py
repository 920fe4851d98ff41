"""Sessions with the relay, on connections that aiosmtplib opens."""

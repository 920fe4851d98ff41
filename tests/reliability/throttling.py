"""What large providers say, word for word, when they have too much of us."""

AMAZON_SES = b"454 4.7.0 Throttling failure: Maximum sending rate exceeded.\r\n"
EXCHANGE_ONLINE = b"432 4.3.2 Concurrent connections limit exceeded\r\n"
GMAIL = b"421 4.7.28 unusual rate of mail\r\n"

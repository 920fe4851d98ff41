"""What the tutorials for smtplib teach, done with mailer against real servers; docs/smtplib.md is the table."""

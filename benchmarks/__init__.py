"""How fast the mailer is, beside what others do with the same message on the same machine."""

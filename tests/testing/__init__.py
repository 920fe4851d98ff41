"""What mailer gives to the tests of other projects."""

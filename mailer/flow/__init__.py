"""What happens to a campaign, from the row to the report. Nothing here knows Redis, SMTP or files."""

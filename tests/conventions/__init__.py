"""What the page of conventions promises and no other folder of tests does."""

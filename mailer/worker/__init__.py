"""Worker processes: where the parts are put together and run."""

"""Local pages in a browser: captured mail, and the preview of a campaign. They need the `[web]` extra."""

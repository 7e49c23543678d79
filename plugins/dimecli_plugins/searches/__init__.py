"""The built-in searches, one per file."""

"""The built-in executors, one per file."""

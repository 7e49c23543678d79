"""Built-in plugins of dimecli, one per file."""

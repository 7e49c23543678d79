"""The built-in densities, one per file."""

"""The built-in classifiers, one per file."""

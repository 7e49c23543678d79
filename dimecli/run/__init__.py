"""The run folder: written, found, loaded, verified."""

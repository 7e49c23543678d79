"""Datasets as the rest of dimecli sees them: specs, samples, batches."""

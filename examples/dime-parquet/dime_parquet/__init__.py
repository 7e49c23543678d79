"""Columns of Parquet files as a dataset."""

"""The HTML page about runs, and what compares them."""

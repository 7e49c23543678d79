"""Figures in one style, and the HTML page about runs."""

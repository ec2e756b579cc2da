"""Scores of prediction files, and comparisons between systems."""

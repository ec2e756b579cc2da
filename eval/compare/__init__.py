"""Scoring of prediction files from any system, and comparisons between systems."""

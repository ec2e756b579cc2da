"""Evaluation: predictions, metrics and the report."""

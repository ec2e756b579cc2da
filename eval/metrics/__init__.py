"""Metrics: counts, rates and confidence intervals."""

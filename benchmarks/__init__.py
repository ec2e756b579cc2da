"""Measurements: `make bench` and its longer sisters. Nothing of the project imports from here."""

"""The report stage: one HTML file."""

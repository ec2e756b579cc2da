"""The report stage: one HTML file with figures, charts and a gallery of formulas."""

"""``latexify inspect``: descriptions and contact sheets of data. No stage uses it."""

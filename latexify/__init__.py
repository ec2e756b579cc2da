"""Handwritten mathematics to LaTeX."""

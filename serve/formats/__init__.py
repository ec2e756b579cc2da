"""Formats of an answer: LaTeX for scores and for people, MathML, Typst."""

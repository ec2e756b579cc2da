"""MathWriting at its full size: an archive like Google's, and what every stage takes for it."""

"""The embedded dataset: random expressions, set like TeX and written by imaginary hands, as genuine InkML."""

from latexify.pipeline.synthesis.dataset import generate

__all__ = ["generate"]

"""The embedded dataset: random expressions, set like TeX and written by imaginary hands, as genuine InkML."""

from pipeline.synthetic.dataset import generate

__all__ = ["generate"]

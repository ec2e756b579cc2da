"""The `transform` attribute of SVG."""

import math
import re

from fontTools.misc.transform import Identity, Transform

from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Reason

NUMBER = r"(?>[-+]?(?:\d++\.?+\d*+|\.\d++)(?:[eE][-+]?\d++)?+)"
"""A number of SVG. It is matched whole or not at all, so that no text takes exponential time."""
_FUNCTION = re.compile(r"\s*([a-zA-Z]+)\s*\(([^()]*)\)[\s,]*")
NUMBERS = re.compile(rf"[\s,]*+(?:{NUMBER}[\s,]*+)*+")
ARGUMENTS = {"matrix": {6}, "translate": {1, 2}, "scale": {1, 2}, "rotate": {1, 3}, "skewX": {1}, "skewY": {1}}
"""Number of arguments of each function."""


def transform_of(text: str) -> Transform:
    """Parse a list of transform functions. Raises UnusableInkError if it is none."""
    text = text.rstrip()
    transform, position = Identity, 0
    while position < len(text):
        found = _FUNCTION.match(text, position)
        if found is None or not NUMBERS.fullmatch(found[2]):
            raise _unreadable(text)
        numbers = [float(number) for number in re.findall(NUMBER, found[2])]
        if len(numbers) not in ARGUMENTS.get(found[1], ()):
            raise _unreadable(text)
        transform = transform.transform(_function(found[1], numbers))
        position = found.end()
    return transform


def _unreadable(text: str) -> UnusableInkError:
    return UnusableInkError(Reason.BAD_POINTS, f"the transform {text[:60]!r} cannot be read")


def _function(name: str, numbers: list[float]) -> Transform:
    first, *others = numbers
    match name:
        case "matrix":
            return Transform(*numbers)
        case "translate":
            return Identity.translate(first, *others)
        case "scale":
            return Identity.scale(first, *(others or [first]))
        case "rotate":
            x, y = others or (0.0, 0.0)
            return Identity.translate(x, y).rotate(math.radians(first)).translate(-x, -y)
        case "skewX":
            return Identity.skew(math.radians(first), 0)
        case _:
            return Identity.skew(0, math.radians(first))

"""Decode the content of a `<trace>`: differences, wildcards, hexadecimal numbers, values without spaces between them.

Source: InkML, W3C Recommendation of 20 September 2011, section 3.2.1. Plain numbers are parsed in `numbers.py`,
which is much faster.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import numpy as np

from latexify.pipeline.config import MAX_POINTS
from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Reason

Value = Decimal | bool | None
"""A value of a channel. None: the device reported none (`?`)."""

MAX_VALUES_PER_POINT = 16
"""More values than any pen has channels; a longer point means that commas are missing."""

MAX_NUMBER_CHARS = 64
"""A longer number is refused, since the time to convert it grows with the square of its length."""

_VALUE: Final = re.compile(
    r"""\s* (?P<order>[!'"])? \s*
    (?: (?: (?P<sign>-) \s* | \+ )?
        (?: \#(?P<hex>[0-9A-Fa-f]+) | (?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?) )
        (?= [\s!'"\-#*?TF] | \Z )  # what may follow a number without white space
      | (?P<word>[TF*?])
    ) \s*""",
    re.VERBOSE | re.ASCII,
)
_MAX_FLOAT32: Final = Decimal(float(np.finfo(np.float32).max))
_EXPLICIT, _FIRST_DIFFERENCE, _SECOND_DIFFERENCE = "!", "'", '"'


class _Channel:
    """The state of one channel: how its next values are meant, its last value and its last difference."""

    __slots__ = ("_difference", "_last", "_order")

    def __init__(self) -> None:
        self._order = _EXPLICIT
        self._last: Value = None
        self._difference: Decimal | None = None

    def decode(self, match: re.Match[str]) -> Value:
        self._order = match["order"] or self._order
        if match["word"]:
            return self._word(match["word"])
        number = _number(match)
        if self._order == _EXPLICIT:
            self._difference = number - self._last if isinstance(self._last, Decimal) else None
            self._last = number
            return number
        if not isinstance(self._last, Decimal):
            raise _bad(f"{match[0].strip()} is a difference, and no number of its channel stands before it")
        if self._order == _SECOND_DIFFERENCE:
            if self._difference is None:
                raise _bad(f"{match[0].strip()} is a second difference, and fewer than two numbers stand before it")
            number += self._difference
        self._difference = number
        self._last += number
        return self._last

    def _word(self, word: str) -> Value:
        if word == "?":
            return None
        if word in "TF":
            self._last, self._difference = word == "T", None
        elif self._last is None:
            raise _bad("* repeats a value, and none stands before it")
        else:
            self._difference = Decimal(0)
        return self._last


def decode_points(text: str, *, max_points: int = MAX_POINTS, num_channels: int = 2) -> list[Sequence[Value]]:
    """Return the values of each point of a trace. Points without any value, between two commas, are left out.

    Differences are added exactly, so a trace of differences equals its plain twin.

    Raises UnusableInkError: BAD_POINTS if the text does not follow the Recommendation's grammar; TOO_LARGE as soon as
    there are more points, or without commas more values, than `max_points` points of `num_channels` values have.
    """
    max_values = max(max_points * num_channels, MAX_VALUES_PER_POINT)
    channels: list[_Channel] = []
    points: list[Sequence[Value]] = []
    for part in text.split(","):
        values: list[Value] = []
        at = 0
        while at < len(part) and (match := _VALUE.match(part, at)):
            if len(values) == len(channels):
                channels.append(_Channel())
            values.append(channels[len(values)].decode(match))
            at = match.end()
            if len(values) > max_values:
                raise too_many_points(max_points)
        if part[at:].strip():
            raise _bad(f"not numbers, they hold {part[at : at + 20].strip()!r}")
        if values:
            points.append(values)
        if len(points) > max_points:
            raise too_many_points(max_points)
    return points


def too_many_points(max_points: int) -> UnusableInkError:
    """Return the error of an ink with more points."""
    return UnusableInkError(Reason.TOO_LARGE, f"more than {max_points} points")


def _number(match: re.Match[str]) -> Decimal:
    digits = match["hex"] or match["number"]
    if len(digits) > MAX_NUMBER_CHARS:
        raise _bad(f"a number of {len(digits)} characters")
    number = Decimal(int(digits, 16)) if match["hex"] else Decimal(digits)
    if number > _MAX_FLOAT32:
        raise _bad(f"{digits} is too large for float32")
    return -number if match["sign"] == "-" else number


def _bad(detail: str) -> UnusableInkError:
    return UnusableInkError(Reason.BAD_POINTS, detail)

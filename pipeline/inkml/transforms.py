"""Canvas transforms of InkML (`<canvasTransform>`): affine ones are applied, others are refused.

Source: InkML, W3C Recommendation of 20 September 2011, sections 4.4 (canvas transforms) and 3.1.5 (mappings).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from latexify.pipeline.inkml.values import Value
from latexify.pipeline.inkml.xml import UnusableInkError, contradictory, unsupported
from latexify.pipeline.inks.ink import Reason

Refer = Callable[..., Any]
"""Finds the element that a reference names: `Contexts.referred`."""


@dataclass(frozen=True, slots=True)
class Row:
    """A weighted sum of values: pairs of a channel's index and its weight, and what is added."""

    weights: tuple[tuple[int, float], ...]
    constant: float

    def scaled(self, factor: float) -> "Row":
        """Return the row of a value that is `factor` times as large."""
        return Row(tuple((index, weight * factor) for index, weight in self.weights), self.constant * factor)

    def sum(self, values: Sequence[Value]) -> float:
        """Return the sum for the values of a point.

        Raises UnusableInkError (BAD_POINTS) if one of them was not reported.
        """
        terms = [self.constant]
        for index, weight in self.weights:
            value = values[index] if index < len(values) else None
            if value is None:
                raise UnusableInkError(Reason.BAD_POINTS, "a canvas transform needs a value that was not reported")
            terms.append(weight * float(value))
        return math.fsum(terms)


@dataclass(frozen=True, slots=True)
class Affine:
    """x and y on the canvas (x to the right, y downward) from the values of a point."""

    x: Row
    y: Row

    @classmethod
    def of_indices(cls, x: int, y: int) -> Self:
        """Return the transform that takes two of the values as they are."""
        return cls(Row(((x, 1.0),), 0.0), Row(((y, 1.0),), 0.0))

    def scaled(self, x: float, y: float) -> Self:
        """Return the transform followed by a scaling of each axis."""
        return type(self)(self.x.scaled(x), self.y.scaled(y))

    def apply(self, values: Sequence[Value]) -> tuple[float, float]:
        """Return x and y of a point."""
        return self.x.sum(values), self.y.sum(values)


def read_transform(element: Any, *, names: Sequence[str], refer: Refer) -> Affine | None:
    """Read a `<canvasTransform>`.

    Args:
        element: The element, or None.
        names: Channels of the trace format.
        refer: Finds elements by reference.

    Returns:
        The transform; None for the identity.

    Raises:
        UnusableInkError: CONTRADICTORY_INKML or UNSUPPORTED_INKML.
    """
    # a second mapping is the inverse of the first
    mapping = None if element is None else next(element.iterchildren("{*}mapping"), None)
    if mapping is None:
        return None
    if reference := mapping.get("mappingRef"):
        mapping = refer(reference, kinds=["mapping"])
    kind = mapping.get("type", "unknown").strip()
    if kind == "identity":
        return None
    if kind != "affine":
        raise unsupported(f"a canvas transform by a mapping of type {kind}")
    matrix = _matrix(mapping)
    sources, targets = _binds(mapping, names=names, num_columns=len(matrix[0]) - 1)
    if len(targets) != len(matrix) or not {"X", "Y"} <= set(targets):
        raise contradictory(f"an affine mapping of {len(matrix)} rows for {' '.join(targets) or 'no target'}")
    rows = dict(zip(targets, matrix, strict=True))
    x, y = (_row(rows[axis], sources) for axis in ("X", "Y"))
    determinant = _of(x, names.index("X")) * _of(y, names.index("Y")) - _of(x, names.index("Y")) * _of(
        y, names.index("X")
    )
    if determinant == 0:
        raise contradictory("a canvas transform without inverse")
    return Affine(x, y)


def _matrix(mapping: Any) -> list[list[float]]:
    affine = next(mapping.iterchildren("{*}affine"), None)
    rows = [] if affine is None else [row.split() for row in (affine.text or "").split(",") if row.strip()]
    try:
        matrix = [[float(number) for number in row] for row in rows]
    except ValueError as error:
        raise contradictory(f"the matrix of an affine mapping: {error}") from None
    if not matrix or len({len(row) for row in matrix}) != 1 or len(matrix[0]) < 2:
        raise contradictory("the rows of an affine mapping differ in length, or there are none")
    if not all(math.isfinite(number) for row in matrix for number in row):
        raise contradictory("the matrix of an affine mapping holds a number that is not finite")
    return matrix


def _binds(mapping: Any, *, names: Sequence[str], num_columns: int) -> tuple[list[int], list[str]]:
    """Return the channel of each column and the target of each row; both are the channels in order if not declared."""
    binds = list(mapping.iterchildren("{*}bind"))
    sources = [name.strip().upper() for bind in binds if (name := bind.get("source"))] or list(names[:num_columns])
    targets = [name.strip().upper() for bind in binds if (name := bind.get("target"))] or ["X", "Y"]
    if missing := [name for name in sources if name not in names]:
        raise contradictory(f"a mapping of channel {missing[0]}, which the trace format does not declare")
    if len(sources) != num_columns:
        raise contradictory(f"an affine mapping of {num_columns} columns for {len(sources)} channels")
    return [names.index(name) for name in sources], targets


def _row(numbers: Sequence[float], sources: Sequence[int]) -> Row:
    weights = tuple((index, number) for index, number in zip(sources, numbers, strict=False) if number != 0)
    return Row(weights, numbers[-1])


def _of(row: Row, index: int) -> float:
    return sum(weight for each, weight in row.weights if each == index)

"""Positions of the symbols of a typeset formula: what a reader sees, whatever the LaTeX behind it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import numpy.typing as npt
from ziamath.drawable import Box, Diagonal, Drawable, Ellipse, Glyph, HLine, VLine
from ziamath.nodes.mnode import Mnode
from ziamath.styles import styledchr

from latexify.eval.metrics.typeset import FONT_SIZE_PX, TypesetError, typeset

LINES = {HLine: "horizontal line", VLine: "vertical line", Box: "box", Diagonal: "diagonal", Ellipse: "ellipse"}
ROOTS = frozenset(["mroot", "msqrt"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Visible symbols of a formula in drawing order. Lengths are in em of the formula's main font size.

    A name is a character in its style (italic, bold and upright letters differ; tall and short brackets do not), or the
    kind of a line.
    """

    names: tuple[str, ...]
    centres: npt.NDArray[np.float64]  # [num_symbols, 2]: x to the right, y downward
    extents: npt.NDArray[np.float64]  # [num_symbols, 2]: width and height of the box
    sizes: npt.NDArray[np.float64]  # [num_symbols]: font sizes

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, slots=True)
class _Symbol:
    name: str
    x: float
    y: float
    width: float
    height: float
    size: float


def lay_out(latex: str) -> Layout:
    """Typeset a formula (without dollar signs) and return its layout.

    Raises only TypesetError because of the formula: if it cannot be typeset or shows nothing.
    """
    root = typeset(latex).node
    try:
        symbols = [one for one in _symbols(root, 0.0, 0.0, root.glyphsize) if one.width > 0 and one.height > 0]
    except RecursionError:
        raise TypesetError("nested too deep") from None
    if not symbols:
        raise TypesetError("nothing to see")
    return Layout(
        names=tuple(symbol.name for symbol in symbols),
        centres=np.array([(symbol.x, symbol.y) for symbol in symbols]) / FONT_SIZE_PX,
        extents=np.array([(symbol.width, symbol.height) for symbol in symbols]) / FONT_SIZE_PX,
        sizes=np.array([symbol.size for symbol in symbols]) / FONT_SIZE_PX,
    )


def _symbols(node: Drawable, x: float, y: float, size: float) -> Iterator[_Symbol]:
    """The symbols of a node at x, y in pixels, y downward. size: font size around it."""
    if isinstance(node, Glyph):
        if not node.phantom:
            yield _boxed(styledchr(node.char, node.style.mathvariant), node, x, y, node.size)
        return
    if isinstance(node, HLine | VLine | Box | Diagonal | Ellipse):
        # ziamath draws vertical lines downward from their position, although their box lies above it
        shift = node.height if isinstance(node, VLine) else 0.0
        if not node.phantom:
            yield _boxed(LINES[type(node)], node, x, y + shift, size)
        return
    assert isinstance(node, Mnode), "a node that is neither a glyph nor a line has children"
    children = [
        list(_symbols(child, x + child_x, y + child_y, node.glyphsize))
        for child, (child_x, child_y) in zip(node.nodes, node.nodexy, strict=False)
    ]
    if node.mtag in ROOTS and isinstance(node.nodes[-1], HLine):
        yield from _with_bar(children)
    else:
        yield from chain.from_iterable(children)


def _with_bar(children: list[list[_Symbol]]) -> Iterator[_Symbol]:
    """The symbols of a root (degree if any, sign, radicand, bar), with sign and bar joined into one symbol."""
    *degree, sign, radicand, bar = children
    yield from chain.from_iterable(degree)
    yield from (replace(one, width=one.width + bar[0].width, x=one.x + bar[0].width / 2) for one in sign)
    yield from radicand


def _boxed(name: str, node: Drawable, x: float, y: float, size: float) -> _Symbol:
    box = node.bbox
    return _Symbol(
        name=name,
        x=x + (box.xmin + box.xmax) / 2,
        y=y - (box.ymin + box.ymax) / 2,
        width=abs(box.xmax - box.xmin),
        height=abs(box.ymax - box.ymin),
        size=size,
    )

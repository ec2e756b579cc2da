"""Formulas with a box for every symbol, such as MathWriting's `synthetic-bboxes.jsonl`, and glyphs for the boxes.

Format: one JSON object per line: `normalizedLabel` (or `label`), and `bboxes`, a list of `token`, `xMin`, `yMin`,
`xMax`, `yMax`, y downward, in any one unit.
"""

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pyarrow as pa

from latexify.artifacts.location import Location
from latexify.common.errors import LatexifyError
from latexify.pipeline.latex import normalize
from latexify.pipeline.synthesis.composed.hand import ComposedHand
from latexify.pipeline.synthesis.composed.measuring import printed
from latexify.pipeline.synthesis.formulas.symbols import FRACTION_BAR, RADICAL
from latexify.pipeline.synthesis.typeset.boxes import Box, Glyph, Placed

STRETCHED = frozenset([FRACTION_BAR, RADICAL, "(", ")", "[", "]", "\\{", "\\}", "|", "\\|", "\\langle", "\\rangle"])
"""Signs that take the shape of their box; all others keep their own, up to a factor `_MOST_CHANGE`."""
_MOST_CHANGE = 1.3
_BOX = pa.struct({"token": pa.string(), **dict.fromkeys(("left", "top", "right", "bottom"), pa.float32())})
_SCHEMA = pa.schema({"label": pa.string(), "boxes": pa.list_(_BOX)})


class TokenBox(NamedTuple):
    """A token and the corners of its ink."""

    token: str
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class BoxedFormula:
    """A formula with a layout. label: normalised. boxes: in writing order."""

    label: str
    boxes: Sequence[TokenBox]


def read_boxed(lines: Iterable[str], *, path: Location) -> Iterator[BoxedFormula]:
    """Yield the formulas of a file's lines. Raises LatexifyError with the number of a line that is bad."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield _boxed(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise LatexifyError(
                    f"{path}, line {number}: not a formula with boxes ({type(error).__name__}: {error}): it must be a "
                    "JSON object with `normalizedLabel` and `bboxes`"
                ) from None


def _boxed(entry: Mapping[str, Any]) -> BoxedFormula:
    boxes = []
    for box in entry["bboxes"]:
        corners = [float(box[name]) for name in ("xMin", "yMin", "xMax", "yMax")]
        left, top, right, bottom = corners
        if not all(map(math.isfinite, corners)) or right < left or bottom < top:
            raise ValueError(f"a box of {box['token']} from {left}, {top} to {right}, {bottom}")
        boxes.append(TokenBox(normalize(box["token"]), left, top, right, bottom))
    if not boxes:
        raise ValueError("no boxes")
    return BoxedFormula(normalize(entry.get("normalizedLabel", entry.get("label"))), boxes)


def write_boxed(path: Path, formulas: Iterable[BoxedFormula]) -> None:
    """Write formulas for the workers, which can load single ones."""
    remaining = iter(formulas)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, _SCHEMA) as writer:
        while batch := list(itertools.islice(remaining, 2048)):
            rows = [{"label": formula.label, "boxes": [box._asdict() for box in formula.boxes]} for formula in batch]
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=_SCHEMA))


class BoxedFormulas:
    """The formulas that `write_boxed` wrote, by index; the file is memory-mapped, and pickled as its path."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()

    def __reduce__(self) -> tuple[type["BoxedFormulas"], tuple[Path]]:
        return BoxedFormulas, (self._path,)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __getitem__(self, index: int) -> BoxedFormula:
        row = self._table.slice(index, 1).to_pylist()[0]
        return BoxedFormula(row["label"], [TokenBox(**box) for box in row["boxes"]])


def fill_boxes(formula: BoxedFormula, hand: ComposedHand) -> Box:
    """Put a glyph into every box. Raises MissingSymbolError if nobody wrote one of the symbols."""
    unit = _capital_height(formula.boxes)
    left = min(box.left for box in formula.boxes)
    placed = []
    for box in formula.boxes:
        width, height = (box.right - box.left) / unit, (box.bottom - box.top) / unit
        aspect = (width + 0.05) / (height + 0.05) if box.token in STRETCHED else None
        glyph = hand.glyph(box.token, aspect=aspect)
        placed.append(_in_box(glyph, (box.left - left) / unit, box.top / unit, width, height))
    top, bottom = min(box.top for box in formula.boxes) / unit, max(box.bottom for box in formula.boxes) / unit
    right = max(box.right for box in formula.boxes)
    return Box((right - left) / unit, -top, bottom, tuple(placed))


def _capital_height(boxes: Sequence[TokenBox]) -> float:
    """Height of a capital on the main line, estimated from the largest symbols; scripts are smaller."""
    shaped = [(box, printed(box.token)) for box in boxes if box.token not in STRETCHED and box.bottom > box.top]
    ratios = sorted((box.bottom - box.top) / (own.bottom - own.top) for box, own in shaped)
    if not ratios:
        return max(max(box.bottom - box.top, box.right - box.left) for box in boxes) or 1.0
    return median(ratios[len(ratios) // 2 :])


def _in_box(glyph: Glyph, left: float, top: float, width: float, height: float) -> Placed:
    """Fit a glyph to a box by its longer side, centred; only stretched signs change their shape freely."""
    own_width, own_height = max(glyph.width, 0.02), max(glyph.bottom - glyph.top, 0.02)
    scale_x, scale_y = width / own_width, height / own_height
    if glyph.token == FRACTION_BAR:
        scale_y = min(scale_x, 1.0)
    elif glyph.token not in STRETCHED:
        scale = scale_y if own_height >= own_width else scale_x
        scale_x = min(max(scale_x, scale / _MOST_CHANGE), scale * _MOST_CHANGE)
        scale_y = min(max(scale_y, scale / _MOST_CHANGE), scale * _MOST_CHANGE)
    x = left + (width - scale_x * glyph.width) / 2
    y = top + height / 2 - scale_y * (glyph.top + glyph.bottom) / 2
    return Placed(glyph, x, y, scale_x, scale_y)

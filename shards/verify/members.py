"""Check the contents of the three members of a sample."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from latexify.shards.format.png import decode_png
from latexify.shards.format.sample import encode_ids
from latexify.shards.verify.tar_layout import IndexRow


def png_problem(data: bytes, *, height_px: int, width_px: int) -> str | None:
    """Return why `data` is not an 8-bit grey PNG of this size, or None if it is."""
    try:
        pixels = decode_png(data)
    except ValueError:  # Pillow's messages contain memory addresses, which differ in every run
        return "the PNG cannot be decoded"
    if pixels.shape != (height_px, width_px):
        return f"the picture is {pixels.shape[0]}x{pixels.shape[1]} px, the canvas {height_px}x{width_px} px"
    return None


def ids_problem(data: bytes, *, num_tokens: int, expected: npt.NDArray[np.int32] | None) -> str | None:
    """Return why `data` is not the ``.npy`` file of these token ids, or None if it is.

    `num_tokens` is their number in the index; `expected` are the tokenizer's ids of the label, int32 [n], None without
    a tokenizer.
    """
    # write the ids again instead of parsing the header, because NumPy's parser would accept any claimed size
    token_ids = np.frombuffer(data[-4 * num_tokens :], dtype="<i4") if len(data) > 4 * num_tokens else None
    if token_ids is None or encode_ids(token_ids) != data:
        return f"the token ids are not an .npy file of int32 [{num_tokens}]"
    if token_ids.min() < 0 or np.any(token_ids[:-1] == token_ids[-1]):
        return "the token ids do not end with an end id that stands nowhere else"
    if expected is not None and not np.array_equal(token_ids, expected):
        return f"the token ids {_shortened(token_ids)} are not those of the label, {_shortened(expected)}"
    return None


def _shortened(token_ids: npt.NDArray[np.int32]) -> str:
    shown = ", ".join(map(str, token_ids[:12].tolist()))
    return f"[{shown}, … {len(token_ids)} in all]" if len(token_ids) > 12 else f"[{shown}]"


def json_problems(data: bytes, *, row: IndexRow) -> Iterator[str]:
    """Yield what is wrong with the JSON of a sample."""
    try:
        description = json.loads(data)
    except ValueError as error:
        yield f"the JSON cannot be read ({error})"
        return
    if not isinstance(description, dict):
        yield "the JSON is no object"
        return
    if json.dumps(description, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass") != data:
        yield "the JSON is not spelt as it was written"
    yield from _field_problems(description)
    if description.get("normalized_label") != row.label:
        yield f"its label is {row.label!r} in the index, {description.get('normalized_label')!r} in the JSON"
    if description.get("dataset") != row.dataset:
        yield f"its dataset is {row.dataset!r} in the index, {description.get('dataset')!r} in the JSON"


def _field_problems(description: Mapping[str, Any]) -> Iterator[str]:
    """Check the fields that docs/reference/shards.md documents."""
    good = {
        "label": isinstance(description.get("label"), str),
        "normalized_label": isinstance(description.get("normalized_label"), str),
        "writer": "writer" in description and isinstance(description["writer"], str | None),
        "source": isinstance(description.get("source"), str),
        "num_strokes": type(description.get("num_strokes")) is int and description["num_strokes"] >= 0,
        "extent": _is_extent(description.get("extent")),
    }
    wrong = [name for name, is_good in good.items() if not is_good]
    if wrong:
        yield f"fields of the JSON are missing or wrong: {', '.join(wrong)}"


def _is_extent(value: Any) -> bool:
    """Whether the value is width and height, finite and not negative."""
    if not isinstance(value, list) or len(value) != 2:
        return False
    return all(type(side) in {int, float} and math.isfinite(side) and side >= 0 for side in value)

"""What the three members of a sample must hold."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from latexify.shards.format.png import decode_png
from latexify.shards.format.sample import encode_ids
from latexify.shards.verify.tar_layout import Row


def png_problem(data: bytes, *, height_px: int, width_px: int) -> str | None:
    """Say why `data` is not an 8-bit grey PNG of this size; None where it is."""
    try:
        pixels = decode_png(data)
    except ValueError:  # what Pillow says of it holds addresses of memory, others in every run
        return "the PNG cannot be decoded"
    if pixels.shape != (height_px, width_px):
        return f"the picture is {pixels.shape[0]}x{pixels.shape[1]} px, the canvas {height_px}x{width_px} px"
    return None


def ids_problem(data: bytes, *, num_tokens: int, expected: npt.NDArray[np.int32] | None) -> str | None:
    """Say why `data` is not the ``.npy`` file of these token ids; None where it is.

    expected: int32 [n], what the tokenizer makes of the label; None where no tokenizer is at hand.
    """
    # not parsed, but written again: numpy's parser would take any header, and any size that it claims
    found = np.frombuffer(data[-4 * num_tokens :], dtype="<i4") if len(data) > 4 * num_tokens else None
    if found is None or encode_ids(found) != data:
        return f"the token ids are not an .npy file of int32 [{num_tokens}]"
    if found.min() < 0 or np.any(found[:-1] == found[-1]):
        return "the token ids do not end with an end id that stands nowhere else"
    if expected is not None and not np.array_equal(found, expected):
        return f"the token ids {_shortened(found)} are not those of the label, {_shortened(expected)}"
    return None


def _shortened(token_ids: npt.NDArray[np.int32]) -> str:
    shown = ", ".join(map(str, token_ids[:12].tolist()))
    return f"[{shown}, … {len(token_ids)} in all]" if len(token_ids) > 12 else f"[{shown}]"


def json_problems(data: bytes, *, row: Row) -> Iterator[str]:
    """Say what is wrong with the JSON of a sample: not as written, fields missing or of another kind, another label."""
    try:
        found = json.loads(data)
    except ValueError as error:
        yield f"the JSON cannot be read ({error})"
        return
    if not isinstance(found, dict):
        yield "the JSON is no object"
        return
    if json.dumps(found, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass") != data:
        yield "the JSON is not spelt as it was written"
    yield from _field_problems(found)
    if found.get("normalized_label") != row.label:
        yield f"its label is {row.label!r} in the index, {found.get('normalized_label')!r} in the JSON"


def _field_problems(found: Mapping[str, Any]) -> Iterator[str]:
    """Fields that docs/reference/shards.md promises."""
    good = {
        "label": isinstance(found.get("label"), str),
        "normalized_label": isinstance(found.get("normalized_label"), str),
        "writer": "writer" in found and isinstance(found["writer"], str | None),
        "source": isinstance(found.get("source"), str),
        "num_strokes": type(found.get("num_strokes")) is int and found["num_strokes"] >= 1,
        "extent": _is_extent(found.get("extent")),
    }
    wrong = [name for name, is_good in good.items() if not is_good]
    if wrong:
        yield f"fields of the JSON are missing or wrong: {', '.join(wrong)}"


def _is_extent(value: Any) -> bool:
    """Width and height, finite and not negative."""
    if not isinstance(value, list) or len(value) != 2:
        return False
    return all(type(side) in {int, float} and math.isfinite(side) and side >= 0 for side in value)

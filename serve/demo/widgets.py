"""The page's own widgets: a sheet to write on, and formulas with LaTeX to copy.

Both are Streamlit components (`st.components.v2`): plain scripts without a build step, each in a shadow root. The
sheet and the clipboard are those of the HTTP service's page.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from latexify.eval.metrics.typeset import Typesetter
from latexify.serve.demo.examples import DemoExample
from latexify.serve.demo.inference import DemoResult
from latexify.serve.recognizer import LatexHypothesis, Picture
from latexify.shards.format.png import encode_png

STATIC = Path(__file__).resolve().parent / "static"
SERVICE_STATIC = Path(__file__).resolve().parent.parent / "http" / "static"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenInk:
    """The sheet's content."""

    json: str  # the strokes
    example: str | None  # key of the example, if the sheet shows one unchanged


def sheet(examples: Sequence[DemoExample]) -> WrittenInk | None:
    """Show the sheet, and return its ink; None if it is empty."""
    draw = st.components.v2.component(
        "latexify_sheet",
        html=_text(STATIC / "canvas.html"),
        css=_text(STATIC / "canvas.css"),
        js=_text(SERVICE_STATIC / "sheet.js", STATIC / "canvas.js"),
    )
    offered = [{"key": example.key, "label": example.label, "strokes": _rounded(example)} for example in examples]
    ink = draw(key="sheet", data={"examples": offered}, on_ink_change=lambda: None).ink
    # do not trust a browser
    if not isinstance(ink, dict) or not isinstance(ink.get("json"), str) or ink["json"] == '{"strokes":[]}':
        return None
    example = ink.get("example")
    return WrittenInk(json=ink["json"], example=example if isinstance(example, str) else None)


def candidates(result: DemoResult, *, key: str, label: str | None = None) -> None:
    """Show the candidates typeset with LaTeX to copy, the model's input, and the ink's normalised label if known."""
    recognition = result.recognition
    show = st.components.v2.component(
        "latexify_candidates",
        css=_text(STATIC / "candidates.css"),
        js=_text(SERVICE_STATIC / "clipboard.js", STATIC / "candidates.js"),
    )
    typesetter = Typesetter()
    lines = [_candidate(reading, typesetter) for reading in (recognition, *recognition.alternatives)]
    verdict = None if label is None else {"latex": label, "isRight": recognition.latex == label}
    picture = {"url": _data_url(result.picture), "caption": _caption(result)}
    show(key=key, data={"candidates": lines, "label": verdict, "picture": picture, "glyphs": typesetter.glyphs()})


def _candidate(reading: LatexHypothesis, typesetter: Typesetter) -> dict[str, Any]:
    formula = typesetter.draw(reading.latex)
    confidence = round(reading.confidence, 4)
    return {"latex": reading.latex, "confidence": confidence, "svg": formula.svg, "reason": formula.reason}


def _data_url(picture: Picture) -> str:
    """Embed the picture, since Streamlit might drop a stored one before a slow browser loads it."""
    return f"data:image/png;base64,{base64.b64encode(encode_png(picture)).decode()}"


def _caption(result: DemoResult) -> str:
    height, width = result.picture.shape
    return f"{width} by {height} pixels, recognised in {result.recognition.elapsed_s * 1000:.0f} ms"


def _rounded(example: DemoExample) -> list[list[list[float]]]:
    """Round the strokes to thousandths of their extent: enough for a thumbnail, and less to send."""
    low = np.min([stroke.min(axis=0) for stroke in example.strokes], axis=0)
    extent = float(np.max([stroke.max(axis=0) for stroke in example.strokes] - low)) or 1.0
    return [np.round((stroke - low) * (1000 / extent)).tolist() for stroke in example.strokes]


def _text(*paths: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)

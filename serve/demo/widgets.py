"""The two parts of the page that Streamlit does not have: a sheet to write on, and formulas with LaTeX to copy.

Both are components of Streamlit (`st.components.v2`): plain scripts, without a build step, in a shadow root each. The
sheet and the clipboard are those of the service's page.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from latexify.eval.metrics.typeset import Typesetter
from latexify.serve.demo.examples import Example
from latexify.serve.demo.inference import Seen
from latexify.serve.recognizer import LatexHypothesis, Picture
from latexify.shards.format.png import encode_png

HERE = Path(__file__).resolve().parent / "static"
SHARED = HERE.parent.parent / "static"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenInk:
    """What is on the sheet, as the browser says. json: the strokes. example: key of the one it is, untouched."""

    json: str
    example: str | None


def sheet(examples: Sequence[Example]) -> WrittenInk | None:
    """Show the sheet, and return what is written on it; None where nothing is."""
    draw = st.components.v2.component(
        "latexify_sheet",
        html=_text(HERE / "canvas.html"),
        css=_text(HERE / "canvas.css"),
        js=_text(SHARED / "sheet.js", HERE / "canvas.js"),
    )
    offered = [{"key": example.key, "label": example.label, "strokes": _thinned(example)} for example in examples]
    ink = draw(key="sheet", data={"examples": offered}, on_ink_change=lambda: None).ink
    # it comes from a browser: it may be anything
    if not isinstance(ink, dict) or not isinstance(ink.get("json"), str) or ink["json"] == '{"strokes":[]}':
        return None
    example = ink.get("example")
    return WrittenInk(json=ink["json"], example=example if isinstance(example, str) else None)


def readings(seen: Seen, *, key: str, truth: str | None = None) -> None:
    """Show what was read, typeset, with LaTeX to copy, and what the model saw.

    truth: what was meant, where that is known; normalised.
    """
    found = seen.recognition
    show = st.components.v2.component(
        "latexify_readings",
        css=_text(HERE / "readings.css"),
        js=_text(SHARED / "clipboard.js", HERE / "readings.js"),
    )
    typesetter = Typesetter()
    lines = [_line(reading, typesetter) for reading in (found, *found.alternatives)]
    verdict = None if truth is None else {"latex": truth, "isRight": found.latex == truth}
    picture = {"url": _data_url(seen.picture), "caption": _caption(seen)}
    show(key=key, data={"readings": lines, "truth": verdict, "picture": picture, "glyphs": typesetter.glyphs()})


def _line(reading: LatexHypothesis, typesetter: Typesetter) -> dict[str, Any]:
    formula = typesetter.draw(reading.latex)
    return {
        "latex": reading.latex,
        "confidence": round(reading.confidence, 4),
        "svg": formula.svg,
        "reason": formula.reason,
    }


def _data_url(picture: Picture) -> str:
    """The picture itself: one that Streamlit stored might be gone when a slow browser comes for it."""
    return f"data:image/png;base64,{base64.b64encode(encode_png(picture)).decode()}"


def _caption(seen: Seen) -> str:
    height, width = seen.picture.shape
    return f"{width} by {height} pixels, read in {seen.recognition.elapsed_s * 1000:.0f} ms"


def _thinned(example: Example) -> list[list[list[float]]]:
    """The strokes in thousandths of their extent: enough to look at, and less to send."""
    low = np.min([stroke.min(axis=0) for stroke in example.strokes], axis=0)
    extent = float(np.max([stroke.max(axis=0) for stroke in example.strokes] - low)) or 1.0
    return [np.round((stroke - low) * (1000 / extent)).tolist() for stroke in example.strokes]


def _text(*paths: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)

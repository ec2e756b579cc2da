"""The page's contents, from top to bottom. `latexify.serve.demo.script` shows them to each visitor."""

import re
import string
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from latexify.pipeline.image.formats import picture_suffixes
from latexify.serve.demo.examples import DemoExample
from latexify.serve.demo.inference import DemoFailure, DemoResult, SharedRecognizer
from latexify.serve.demo.widgets import SERVICE_STATIC, candidates, sheet
from latexify.serve.files import BY_CONTENT, INK_SUFFIXES
from latexify.serve.http.api.requests import RequestItem
from latexify.serve.http.limits import MAX_BEAMS

BEAMS = 4  # default beam width


def show(recognizer: SharedRecognizer, examples: Sequence[DemoExample], *, model: Path) -> None:
    """Show the page; its footer names the model's folder."""
    icon = (SERVICE_STATIC / "icon.svg").read_text(encoding="utf-8")
    st.set_page_config(page_title="latexify", page_icon=icon, layout="wide")
    st.header("Handwriting to LaTeX", anchor=False)
    body = st.container()
    num_beams = _footer(recognizer, model)
    writing, files = body.tabs(["Write", "Images and InkML"])
    with writing:
        _write(recognizer, examples, num_beams)
    with files:
        _read_files(recognizer, num_beams)


def _footer(recognizer: SharedRecognizer, model: Path) -> int:
    """Show the footer; return the beam width that the visitor chose."""
    setting, text = st.columns([2, 3], gap="large", vertical_alignment="bottom")
    num_beams = setting.slider(
        "Beam width",
        1,
        MAX_BEAMS,
        BEAMS,
        key="beams",
        help="Number of hypotheses that the search follows. A larger width finds more candidates, but takes longer.",
    )
    width, height = recognizer.canvas_px
    text.caption(
        f"Recognised by the model {_escape(model.resolve().name)} on a picture of {width} by {height} pixels. Your "
        "handwriting is only sent to the computer that serves this page."
    )
    return num_beams


@st.fragment
def _write(recognizer: SharedRecognizer, examples: Sequence[DemoExample], num_beams: int) -> None:
    left, right = st.columns([3, 2], gap="medium")
    with left:
        ink = sheet(examples)
    with right:
        if ink is None:
            st.info("The LaTeX appears here when you lift the pen.", icon=":material/draw:")
            return
        example = next((example for example in examples if example.key == ink.example), None)
        if example is not None:
            # the original strokes, since the browser's are rounded
            result = recognizer.read(RequestItem(strokes=example.strokes), num_beams=num_beams)
        else:
            result = recognizer.read_ink(ink.json, num_beams=num_beams)
        if isinstance(result, DemoFailure):
            st.error(_escape(result.reason))
            return
        candidates(result, key="written", label=example.label if example else None)


@st.fragment
def _read_files(recognizer: SharedRecognizer, num_beams: int) -> None:
    limits = recognizer.limits
    uploaded = st.file_uploader(
        f"Photographs, scans or ink files with one formula each, at most {limits.max_body_bytes // 1_000_000} MB",
        type=[suffix.removeprefix(".") for suffix in (*sorted(picture_suffixes()), *INK_SUFFIXES, *BY_CONTENT)],
        accept_multiple_files=True,
        key="files",
    )
    if len(uploaded) > limits.max_items:
        st.warning(f"{len(uploaded)} files: only the first {limits.max_items} were recognised.")
    for i, file in enumerate(uploaded[: limits.max_items]):
        result = _read_file(recognizer, file.getvalue(), num_beams)
        if isinstance(result, DemoFailure):
            st.error(f"**{_escape(file.name)}**: {_escape(result.reason)}")
            continue
        if result.left_out:
            st.warning(
                f"{_escape(file.name)}: left out, because they are no strokes: {_escape(', '.join(result.left_out))}"
            )
        with st.container(border=True):
            st.markdown(f"**{_escape(file.name)}**")
            candidates(result, key=f"file-{i}")


@st.cache_data(max_entries=256, show_spinner="Recognising …")
def _read_file(_recognizer: SharedRecognizer, data: bytes, num_beams: int) -> DemoResult | DemoFailure:
    """Cached, since Streamlit builds the page again whenever a file is added or removed."""
    return _recognizer.read_file(data, num_beams=num_beams)


def _escape(text: str) -> str:
    """Escape untrusted text, since Streamlit interprets all text as Markdown."""
    return re.sub(f"([{re.escape(string.punctuation)}])", r"\\\1", " ".join(text.split()))

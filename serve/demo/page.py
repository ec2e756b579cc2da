"""The page's contents, from top to bottom. `latexify.serve.demo.script` shows them to each visitor."""

import re
import string
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from latexify.serve.demo.answers import answer_requests
from latexify.serve.demo.examples import DemoExample
from latexify.serve.demo.inference import SharedRecognizer
from latexify.serve.web import parts

STATIC = Path(__file__).resolve().parent / "static"
KEY = "writer"
"""Of the component in the state of a visitor's session."""


def show(recognizer: SharedRecognizer, examples: Sequence[DemoExample], *, model: Path) -> None:
    """Show the page; its footer names the model's folder."""
    st.set_page_config(page_title="latexify: write a formula", page_icon=parts.read("icon.svg"), layout="wide")
    _write(recognizer, examples)
    width, height = recognizer.canvas_px
    st.markdown(
        f"Recognised by the model {_escape(model.resolve().name)} on a picture of at most {width} by {height} pixels. "
        "Your handwriting is only sent to the computer that serves this page."
    )


@st.fragment
def _write(recognizer: SharedRecognizer, examples: Sequence[DemoExample]) -> None:
    """Show the parts, a Streamlit component (`st.components.v2`) in a shadow root, and answer their requests."""
    draw = st.components.v2.component(
        "latexify_writer",
        html=parts.read("writer.html"),
        css=(STATIC / "demo.css").read_text(encoding="utf-8") + parts.read("writer.css"),
        js=parts.read(*parts.SCRIPTS) + (STATIC / "component.js").read_text(encoding="utf-8"),
    )
    state = st.session_state.get(KEY)
    requests = state.get("requests") if state is not None else None
    answers = answer_requests(requests, st.session_state.get("answers", {}), recognizer=recognizer, examples=examples)
    st.session_state["answers"] = answers
    draw(key=KEY, data={"answers": answers}, on_requests_change=lambda: None)


def _escape(text: str) -> str:
    """Escape untrusted text, since Streamlit interprets all text as Markdown."""
    return re.sub(f"([{re.escape(string.punctuation)}])", r"\\\1", " ".join(text.split()))

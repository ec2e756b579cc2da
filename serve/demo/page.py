"""What stands on the page, from top to bottom. `latexify.serve.demo.script` shows it to each visitor."""

import re
import string
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from latexify.serve.demo.examples import Example
from latexify.serve.demo.inference import Seen, SharedRecognizer, Unread
from latexify.serve.demo.widgets import HERE, readings, sheet
from latexify.serve.files import SUFFIXES
from latexify.serve.http.limits import MAX_BEAMS
from latexify.serve.http.requests import RequestItem

BEAMS = 4
"""Readings that are looked for unless the visitor says otherwise."""


def show(reader: SharedRecognizer, examples: Sequence[Example], *, model: Path) -> None:
    """Show the page. model: named at its foot."""
    icon = (HERE / "icon.svg").read_text(encoding="utf-8")
    st.set_page_config(page_title="latexify", page_icon=icon, layout="wide")
    st.header("Handwriting to LaTeX", anchor=False)
    body = st.container()
    num_beams = _foot(reader, model)
    writing, files = body.tabs(["Write", "Images and InkML"])
    with writing:
        _write(reader, examples, num_beams)
    with files:
        _read_files(reader, num_beams)


def _foot(reader: SharedRecognizer, model: Path) -> int:
    """What stands below all else; returns the number of beams that the visitor wants."""
    setting, words = st.columns([2, 3], gap="large", vertical_alignment="bottom")
    num_beams = setting.slider(
        "Beams",
        1,
        MAX_BEAMS,
        BEAMS,
        key="beams",
        help="Beginnings that the search follows. More of them find more readings, and take longer.",
    )
    width, height = reader.canvas_px
    words.caption(
        f"Read by the model in {_plain(model.resolve().name)}, which sees {width} by {height} pixels. What you write "
        "goes to the computer that this page comes from, and no further."
    )
    return num_beams


@st.fragment
def _write(reader: SharedRecognizer, examples: Sequence[Example], num_beams: int) -> None:
    left, right = st.columns([3, 2], gap="medium")
    with left:
        ink = sheet(examples)
    with right:
        if ink is None:
            st.info("Your formula appears here a moment after you lift the pen.", icon=":material/draw:")
            return
        example = next((example for example in examples if example.key == ink.example), None)
        if example is not None:
            # as it is in the data: what the browser sent was rounded
            found = reader.read(RequestItem(strokes=example.strokes), num_beams=num_beams)
        else:
            found = reader.read_ink(ink.json, num_beams=num_beams)
        if isinstance(found, Unread):
            st.error(_plain(found.reason))
            return
        readings(found, key="written", truth=example.label if example else None)


@st.fragment
def _read_files(reader: SharedRecognizer, num_beams: int) -> None:
    limits = reader.limits
    uploaded = st.file_uploader(
        f"Photographs, scans or InkML of one formula each, at most {limits.max_body_bytes // 1_000_000} MB",
        type=[suffix.removeprefix(".") for suffix in SUFFIXES],
        accept_multiple_files=True,
        key="files",
    )
    if len(uploaded) > limits.max_items:
        st.warning(f"{len(uploaded)} files: only the first {limits.max_items} are read.")
    for number, file in enumerate(uploaded[: limits.max_items]):
        found = _read_file(reader, file.getvalue(), num_beams)
        if isinstance(found, Unread):
            st.error(f"**{_plain(file.name)}**: {_plain(found.reason)}")
            continue
        with st.container(border=True):
            st.markdown(f"**{_plain(file.name)}**")
            readings(found, key=f"file-{number}")


@st.cache_data(max_entries=256, show_spinner="Reading …")
def _read_file(_reader: SharedRecognizer, data: bytes, num_beams: int) -> Seen | Unread:
    """Kept, since the page is made anew with every file that comes or goes."""
    return _reader.read_file(data, num_beams=num_beams)


def _plain(text: str) -> str:
    """Words of a stranger, for Streamlit, which takes all words for Markdown."""
    return re.sub(f"([{re.escape(string.punctuation)}])", r"\\\1", " ".join(text.split()))

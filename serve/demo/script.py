"""The script that Streamlit runs for each visitor, and again whenever something on the page changes."""

import streamlit as st

from latexify.serve.demo.page import show
from latexify.serve.demo.state import DemoSettings, shared_examples, shared_recognizer

settings = DemoSettings.from_mapping(st.secrets["latexify"])
show(shared_recognizer(settings), shared_examples(settings), model=settings.model)

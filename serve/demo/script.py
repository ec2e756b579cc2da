"""The script that Streamlit runs for each visitor, and again whenever something on the page changes."""

import streamlit as st

from latexify.serve.demo.page import show
from latexify.serve.demo.state import DemoSettings, examples_of, reader_of

settings = DemoSettings.from_mapping(st.secrets["latexify"])
show(reader_of(settings), examples_of(settings), model=settings.model)

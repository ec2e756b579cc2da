"""The demo: a Streamlit page to write or upload a formula and copy its LaTeX."""

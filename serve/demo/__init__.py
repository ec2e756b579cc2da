"""A page for people, of Streamlit: write a formula, or bring one along, and take its LaTeX with you."""

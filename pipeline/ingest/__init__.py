"""The ingest stage: every InkML file becomes a row or a rejection."""

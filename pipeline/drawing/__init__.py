"""Strokes in, grey pictures out, drawn by cairo."""

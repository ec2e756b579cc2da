"""Figures of the shipped model: measured into docs/results.json, and written from there into the documents' tables."""

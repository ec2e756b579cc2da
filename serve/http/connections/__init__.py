"""Connections: their timeouts and their number."""

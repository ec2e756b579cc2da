"""Faster paths that rely on private parts of other libraries."""

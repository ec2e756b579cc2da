"""Stroke fonts, and the imaginary writers who write with them."""

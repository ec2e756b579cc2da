"""Inks in files of any format that is read."""

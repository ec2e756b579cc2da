"""Inputs of a dataset: folders and archives, keys, and split rules."""

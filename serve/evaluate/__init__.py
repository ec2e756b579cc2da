"""Evaluate models on labelled inks or shards: the command `latexify evaluate`."""

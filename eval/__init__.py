"""The judge: decoding, metrics and the report."""

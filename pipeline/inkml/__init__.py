"""The InkML format: reading and writing."""

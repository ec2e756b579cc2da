"""Input files: folders and archives, keys, and the rules that assign splits."""

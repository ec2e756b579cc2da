"""Single questions, measured once."""

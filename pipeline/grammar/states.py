"""States of a list of items in the grammar of LaTeX, and how scripts change them."""

SCRIPTS = {"plain": "_^", "low": "^", "high": "_", "both": ""}
"""States of a list after an item: the scripts that may still follow the item."""
FRESH = ("empty", "guarded", "row")
"""States of a list before an item: empty, empty where a bracket would begin an option, after a new row."""


def after_script(context: str, state: str, mark: str) -> str:
    """Return the list after a script."""
    after = "low" if mark == "_" else "high"
    has_other = state in {"low", "high", "both"} and state != after
    return f"{context}:{'both' if has_other else after}"

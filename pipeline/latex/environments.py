r"""One form for environments that draw the same: aligned lines, centred lines, matrices and what is around them."""

import re
from itertools import groupby

from latexify.pipeline.latex import rules, tables, tree
from latexify.pipeline.latex.tree import Environment, Group, Item, Items

_ALIGNED_COLUMNS = re.compile(r"(?:rl)+|(?:rcl)+")


def canonical(name: str, specification: list[str], items: Items) -> Items:
    r"""Return the items that replace an environment, whose last row is not empty.

    ``align``, ``eqnarray`` and an array with the columns ``rl`` or ``rcl`` become ``aligned``, ``gather`` becomes
    ``gathered``; of a single row the contents are left. Delimiters of a matrix stand around it.
    """
    columns = "".join(specification).strip("{}")
    if not set(specification) <= set("lcr{}"):
        return [Environment(name, specification, items)]
    if name in tables.ALIGNED_ENVIRONMENTS or name in tables.GATHERED_ENVIRONMENTS:
        if (row := _single_row(items)) is not None:
            return row
        if name in tables.GATHERED_ENVIRONMENTS:
            return [Environment("gathered", [], items)]
        merged = _without_centre(items) if name == "eqnarray" else items
        return [Environment(name if merged is None else "aligned", [], items if merged is None else merged)]
    if name == "array" and _ALIGNED_COLUMNS.fullmatch(columns) and "\\\\" in items:
        merged = _without_centre(items) if "c" in columns else items
        if merged is not None:
            return [Environment("aligned", [], merged)]
    opening, plain, closing = tables.PLAIN_ENVIRONMENTS.get(name, ("", name, ""))
    body: Items = [opening, Environment(plain, [], items), closing]
    return [item for item in body if item]


def _single_row(items: Items) -> Items | None:
    """The contents of lines that are only one; None if they are more, or must stay apart."""
    if "\\\\" in items:
        return None
    cells = [list(cell) for is_separator, cell in groupby(items, lambda item: item == "&") if not is_separator]
    row = [item for cell in cells for item in cell]
    if tree.is_fragile(row) or not all(_ends_by_itself(cell[-1]) for cell in cells[:-1]):
        return None
    return [Group(row)]


def _without_centre(items: Items) -> Items | None:
    """Join the second and third of each three columns: ``a&=&b`` is ``a&=b``. None if they must stay apart."""
    merged: Items = []
    number = 0  # of the separator in its row
    for item in items:
        if item == "&":
            number += 1
            if number % 3 == 2:
                if merged and not _ends_by_itself(merged[-1]):
                    return None
                continue
        elif item == "\\\\":
            number = 0
        merged.append(item)
    return rules.without_empty_rows(merged)


def _ends_by_itself(item: Item) -> bool:
    """Return whether an item would not take what follows as its argument."""
    if isinstance(item, str):
        return item[0] != "\\" or item in tables.SYMBOLS or not item[1:].isalpha()
    return not tree.is_open(item)

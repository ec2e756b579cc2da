r"""Rules on parsed lists: which braces and fonts can go, what infix commands and font switches mean."""

from itertools import pairwise

from latexify.pipeline.latex.tables import CLOSING, FONT_SWITCHES, INFIX, OPENING, OPERATORS, WORD_FONTS
from latexify.pipeline.latex.tree import (
    Command,
    Environment,
    Group,
    Item,
    Items,
    Scripted,
    is_boundary,
    is_fragile,
    is_loose,
    is_open,
)


def spliced(items: Items) -> Items:
    """Take the braces off each group that carries no script, where that changes nothing."""
    if not any(isinstance(item, Group) for item in items):
        return items
    flat: Items = []
    for item in items:
        if isinstance(item, Group) and not is_fragile(item.items):
            flat.extend(item.items)
        else:
            flat.append(item)
    return flat


def base_of(group: Group) -> Items:
    """Take the braces off a group with a script where it is one thing, such as a sign or a whole parenthesis."""
    items = group.items
    if is_fragile(items) or not items:
        return [group]
    if len(items) == 1:
        return [group] if isinstance(items[0], Scripted) else items
    return items if _is_fenced(items) else [group]


def _is_fenced(items: Items) -> bool:
    """Whether one pair of delimiters encloses all items, so that a script on the last is a script on the whole."""
    first, last = items[0], items[-1]
    if first in ("|", "\\|"):
        return last == first and first not in items[1:-1]
    if not (isinstance(first, str) and first in OPENING):
        return False
    depth = 0
    for index, item in enumerate(items):
        if isinstance(item, str):
            depth += (item in OPENING) - (item in CLOSING)
        if depth == 0:
            return index == len(items) - 1
    return False


def kept_apart(items: Items) -> Items:
    """Put braces around a list that needs them."""
    return [Group(items)] if is_fragile(items) else items


def without_empty_rows(items: Items) -> Items:
    r"""Leave out the ``\\\\`` at the end of an environment."""
    while items and items[-1] == "\\\\":
        items = items[:-1]
    return items


def with_font(name: str, items: Items) -> Item:
    r"""Set `items` in a font. Upright and italic say nothing of lone letters; ``\mathrm{sin}`` is ``\sin``."""
    if name in WORD_FONTS:
        if not _has_word(items):
            return Group(items)
        command = "\\" + "".join(item if isinstance(item, str) else " " for item in items)
        if name == "\\mathrm" and command in OPERATORS:
            return command
    return Command(name, [items])


def _has_word(items: Items) -> bool:
    """Whether two letters stand side by side, here or anywhere inside."""
    if any(_is_letter(left) and _is_letter(right) for left, right in pairwise(items)):
        return True
    return any(_has_word(part) for item in items for part in _parts(item))


def _is_letter(item: Item) -> bool:
    return isinstance(item, str) and len(item) == 1 and item.isalpha()


def _parts(item: Item) -> list[Items]:
    if isinstance(item, Scripted):
        base: Items = [] if item.base is None else [item.base]
        return [base, *(content for _, content in item.scripts if content)]
    if isinstance(item, Command):
        return [*item.arguments, item.optional or []]
    if isinstance(item, Group | Environment):
        return [item.items]
    return []


def resolve_scopes(items: Items) -> Items:
    r"""Rewrite ``a \over b`` and ``\rm a`` within one cell; what TeX rejects stays.

    That is two infix commands, which are ambiguous, and a brace or one end of an environment without partner, which
    braces would part from its own. Font switches are lost there.
    """
    places = [index for index, item in enumerate(items) if isinstance(item, str) and item in INFIX]
    if len(places) > 1 or any(isinstance(item, str) and (item in ("{", "}") or is_loose(item)) for item in items):
        return [item for item in items if not (isinstance(item, str) and item in FONT_SWITCHES)]
    if not places:
        return _resolve_switches(items)
    above, below = _resolve_switches(items[: places[0]]), _resolve_switches(items[places[0] + 1 :])
    name = INFIX[str(items[places[0]])]
    if name == "matrix":
        rows: Items = [*kept_apart(above), "\\\\", *kept_apart(below)]
        return [Environment(name, [], without_empty_rows(rows))]
    return [Command(name, [above, below])]


def _resolve_switches(items: Items) -> Items:
    places = [index for index, item in enumerate(items) if isinstance(item, str) and item in FONT_SWITCHES]
    if not places:
        return items
    resolved = items[: places[0]]
    for place, following in zip(places, [*places[1:], len(items)], strict=True):
        content = items[place + 1 : following]
        if content:
            resolved.append(with_font(FONT_SWITCHES[str(items[place])], content))
    return spliced(resolved)


def with_scripts(base: Item | None, scripts: list[tuple[str, Items | None]]) -> Item | None:
    """Attach scripts, subscripts first; empty ones go. None where nothing is left."""
    waiting = any(content is None for _, content in scripts)
    if not waiting:
        scripts = sorted(scripts, key=lambda script: script[0] != "_")
        if base is None or not is_open(base):
            scripts = [script for script in scripts if script[1]]
    return Scripted(base, scripts) if scripts else base


def can_carry_scripts(item: Item) -> bool:
    """Whether a script that follows belongs to `item`, and not to nothing."""
    return not (isinstance(item, str) and (is_boundary(item) or item in FONT_SWITCHES or item in "{}"))

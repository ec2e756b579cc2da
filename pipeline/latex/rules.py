r"""Rules of the parser: redundant braces and fonts, infix commands, font switches, scripts, and text."""

from itertools import pairwise

from latexify.pipeline.latex import tree
from latexify.pipeline.latex.tables import CLOSING, FONT_SWITCHES, INFIX, OPENING, OPERATORS, REPLACEMENTS, WORD_FONTS
from latexify.pipeline.latex.tree import Command, Environment, Group, Item, Items, Scripted

_SPACES = frozenset([" ", "~", "\\ ", "\\quad", "\\qquad", "\\enspace", "\\space"])
SAME_IN_MATH = frozenset(".,;:()!?")
"""Signs that look the same in text and in mathematics."""


def spliced(items: Items) -> Items:
    """Remove the braces of groups without scripts, unless that changes the meaning."""
    if not any(isinstance(item, Group) for item in items):
        return items
    flat: Items = []
    for item in items:
        flat += item.items if isinstance(item, Group) and not tree.is_fragile(item.items) else [item]
    return flat


def base_of(group: Group) -> Items:
    """Remove the braces of a group with a script if it is one unit, such as a sign or a whole parenthesis."""
    items = group.items
    if tree.is_fragile(items) or not items:
        return [group]
    if len(items) == 1:
        return [group] if isinstance(items[0], Scripted) else items
    return items if _is_fenced(items) else [group]


def _is_fenced(items: Items) -> bool:
    """Return whether one pair of delimiters encloses all items, so that a script on the last is one on the whole."""
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
    return [Group(items)] if tree.is_fragile(items) else items


def without_empty_rows(items: Items) -> Items:
    r"""Drop the ``\\`` at the end of an environment."""
    while items and items[-1] == "\\\\":
        items = items[:-1]
    return items


def with_font(name: str, items: Items) -> Item:
    r"""Set `items` in a font. Upright and italic do not matter for single letters; ``\mathrm{sin}`` is ``\sin``."""
    if name in WORD_FONTS:
        if not _has_word(items):
            return Group(items)
        command = "\\" + "".join(item if isinstance(item, str) else " " for item in items)
        if name == "\\mathrm" and command in OPERATORS:
            return command
    return Command(name, [items])


def _has_word(items: Items) -> bool:
    """Return whether two letters are adjacent, here or anywhere inside."""
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
    r"""Rewrite ``a \over b`` and ``\rm a`` within one cell.

    Input that TeX rejects stays, without its font switches: two infix commands, which are ambiguous, and an unmatched
    brace or end of an environment, which new braces would separate from its partner.
    """
    indices = [index for index, item in enumerate(items) if isinstance(item, str) and item in INFIX]
    if len(indices) > 1 or any(isinstance(item, str) and (item in ("{", "}") or tree.is_loose(item)) for item in items):
        return [item for item in items if not (isinstance(item, str) and item in FONT_SWITCHES)]
    if not indices:
        return _resolve_switches(items)
    above, below = _resolve_switches(items[: indices[0]]), _resolve_switches(items[indices[0] + 1 :])
    name = INFIX[str(items[indices[0]])]
    if name == "matrix":
        rows: Items = [*kept_apart(above), "\\\\", *kept_apart(below)]
        return [Environment(name, [], without_empty_rows(rows))]
    return [Command(name, [above, below])]


def _resolve_switches(items: Items) -> Items:
    indices = [index for index, item in enumerate(items) if isinstance(item, str) and item in FONT_SWITCHES]
    if not indices:
        return items
    resolved = items[: indices[0]]
    for index, following in zip(indices, [*indices[1:], len(items)], strict=True):
        content = items[index + 1 : following]
        if content:
            resolved.append(with_font(FONT_SWITCHES[str(items[index])], content))
    return spliced(resolved)


def with_scripts(base: Item | None, scripts: list[tuple[str, Items | None]]) -> Item | None:
    """Attach scripts, subscripts first, without empty ones. Returns None if nothing is left."""
    waiting = any(content is None for _, content in scripts)
    if not waiting:
        scripts = sorted(scripts, key=lambda script: script[0] != "_")
        if base is None or not tree.is_open(base):
            scripts = [script for script in scripts if script[1]]
    if (
        isinstance(base, Command)
        and base.name == "\\boldsymbol"
        and base.arguments
        and _clashes(base.arguments[0], scripts)
    ):
        base = Group([base])
    return Scripted(base, scripts) if scripts else base


def _clashes(items: Items, scripts: list[tuple[str, Items | None]]) -> bool:
    """Return whether an item with one of these scripts comes last, so that MathJax would see the script twice."""
    if not (items and isinstance(last := items[-1], Scripted)):
        return False
    return not {mark for mark, _ in last.scripts}.isdisjoint(mark for mark, _ in scripts)


def can_carry_scripts(item: Item) -> bool:
    """Return whether a script that follows belongs to `item`."""
    return not (isinstance(item, str) and (tree.is_boundary(item) or item in FONT_SWITCHES or item in "{}"))


def split_text(tokens: list[str]) -> list[tuple[bool, list[str]]]:
    """Split the tokens of a text at its dollars into (whether it is mathematics, tokens).

    All dollars are dropped if one is unpaired, or if a dollar separates a brace from its partner.
    """
    if tokens.count("$") % 2 or _has_crossing_dollar(tokens):
        tokens = [token for token in tokens if token != "$"]
    parts: list[tuple[bool, list[str]]] = [(False, [])]
    for token in tokens:
        if token == "$":
            parts.append((not parts[-1][0], []))
        else:
            parts[-1][1].append(token)
    return parts


def _has_crossing_dollar(tokens: list[str]) -> bool:
    depth, depths = 0, [0]
    for token in tokens:
        depth += (token == "{") - (token == "}")
        if token == "$":
            depths.append(depth)
    # between the dollars of a pair, and between two pairs
    return any(depth != depths[0] for depth in depths)


def is_like_math(tokens: list[str]) -> bool:
    """Return whether a text reads the same in mathematics: letters and digits only, or (by mistake) scripts."""
    return not {"^", "_"}.isdisjoint(tokens) or all(token.isalnum() for token in canonical_text(tokens))


def canonical_text(tokens: list[str]) -> list[str]:
    """Write a text with ``~`` for spaces between words, and without other spaces."""
    has_commands = any(token[0] == "\\" and token[1:].isalpha() and REPLACEMENTS.get(token) != () for token in tokens)
    kept: list[str] = []
    for token in tokens:
        if token in _SPACES:
            after_word = bool(kept) and kept[-1][0] == "\\" and kept[-1][-1].isalpha()
            if kept and kept[-1] != "~" and not (token == " " and after_word):
                kept.append("~")
        elif REPLACEMENTS.get(token) != () and (has_commands or token not in "{}"):
            kept.append(token)
    while kept and kept[-1] == "~":
        kept.pop()
    return kept

"""What the formats need to know of a formula: its tree, what stands between delimiters, and which parts are tall."""

import unicodedata
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from latexify.common.errors import LatexifyError
from latexify.pipeline.latex import tables, tokenize
from latexify.pipeline.latex.parser import TooDeepError, parse
from latexify.pipeline.latex.prepare import prepare
from latexify.pipeline.latex.tree import (
    SEPARATORS,
    Command,
    Environment,
    Group,
    Item,
    Items,
    Scripted,
    Verbatim,
    is_open,
)

BIG_OPERATORS = tables.command_names("""
    sum prod coprod int iint iiint oint bigcap bigcup bigsqcup bigvee bigwedge bigodot bigotimes bigoplus biguplus
""")
INTEGRALS = tables.command_names("int iint iiint oint")
BARS = frozenset(["|", "\\|"])
_TALL = tables.command_names("frac binom overset underset overbrace underbrace boxed")


def tree_of(latex: str) -> Items:
    """Parse a formula in the normal form. Raises LatexifyError if it is not a whole formula."""
    try:
        items = parse(prepare(tokenize(latex)))
    except TooDeepError:
        raise LatexifyError("the formula is nested too deep") from None
    if not is_whole(items):
        raise LatexifyError(
            f"{latex} is not a whole formula: a brace, an argument or the end of an environment is missing"
        )
    return items


def is_whole(items: Items) -> bool:
    """Return whether no part of a formula is missing, at any depth."""
    for item in items:
        if isinstance(item, str):
            if item in "{}^_'" or item.startswith(("\\begin{", "\\end{")) or item in tables.INFIX:
                return False
        elif is_open(item) or not all(map(is_whole, parts_of(item))):
            return False
    return True


def parts_of(item: Item) -> Iterator[Items]:
    """Yield the lists of items inside an item."""
    if isinstance(item, Scripted):
        if item.base is not None:
            yield [item.base]
        yield from (content for _, content in item.scripts if content is not None)
    elif isinstance(item, Command):
        yield from item.arguments
        if item.optional is not None:
            yield item.optional
    elif isinstance(item, Group | Environment):
        yield item.items


def is_tall(items: Sequence[Item]) -> bool:
    """Return whether delimiters around `items` should grow."""
    for item in items:
        if isinstance(item, Environment) or (isinstance(item, Command) and item.name in _TALL):
            return True
        if isinstance(item, Scripted) and sign_of(item) in BIG_OPERATORS:
            return True
        if not isinstance(item, str | Verbatim) and any(map(is_tall, parts_of(item))):
            return True
    return False


def sign_of(item: Item) -> str | None:
    """Return the sign that an item is, or that its scripts stand at; None if it is no sign."""
    if isinstance(item, Scripted):
        item = item.base if item.base is not None else ""
    return item if isinstance(item, str) else None


def is_one_of(item: Item, signs: Container[str]) -> bool:
    """Return whether an item is one of these signs, without scripts."""
    return isinstance(item, str) and item in signs


def cells_of(items: Items) -> Iterator[tuple[Items, str]]:
    r"""Yield each cell of a list, and the separator behind it (``&``, ``\\``, or nothing at the end)."""
    cell: Items = []
    for item in items:
        if isinstance(item, str) and item in SEPARATORS:
            yield cell, item
            cell = []
        else:
            cell.append(item)
    yield cell, ""


def rows_of(items: Items) -> list[list[Items]]:
    """Return the cells of each row."""
    rows: list[list[Items]] = [[]]
    for cell, separator in cells_of(items):
        rows[-1].append(cell)
        if separator == "\\\\":
            rows.append([])
    return rows


def number_at(items: Sequence[Item], index: int) -> str:
    """Return the digits of the number that begins here, with a point between digits; empty if there is none."""
    end = index
    while end < len(items) and (_is_digit(items[end]) or _is_point(items, end, begin=index)):
        end += 1
    return "".join(map(str, items[index:end]))


def _is_digit(item: Item) -> bool:
    return isinstance(item, str) and len(item) == 1 and "0" <= item <= "9"


def _is_point(items: Sequence[Item], index: int, *, begin: int) -> bool:
    is_between = index > begin and index + 1 < len(items) and _is_digit(items[index + 1])
    return is_between and items[index] == "." and "." not in items[begin:index]


def text_of(tokens: Sequence[str], *, target: str) -> str:
    """Return the characters of a text. Raises LatexifyError if it holds a command."""
    words = [" " if token == "~" else token[1:] if token in _TEXT_ESCAPES else token for token in tokens]
    if strange := next((word for word in words if len(word) > 1), None):
        raise LatexifyError(f"{target} cannot be made of {strange} inside a text")
    return "".join(words)


_TEXT_ESCAPES = frozenset(["\\%", "\\#", "\\&", "\\$", "\\_", "\\{", "\\}"])


def crossed(item: Command, signs: Mapping[str, str], *, target: str) -> str:
    r"""Return the one character that ``\not`` makes of a sign. Raises LatexifyError if there is none."""
    sign = "".join(signs.get(part, part) if isinstance(part, str) else "??" for part in item.arguments[0])
    found = unicodedata.normalize("NFC", sign + "\u0338")
    if len(sign) != 1 or len(found) != 1:
        raise LatexifyError(f"{target} cannot be made of \\not with {sign}: there is no such sign")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """A pair of delimiters in a list, by their indices. The closing one may have scripts."""

    begin: int
    end: int


def fences_of(items: Sequence[Item]) -> list[Fence]:
    """Find the delimiters in a cell that belong together: brackets of any kinds, and bars in pairs."""
    fences: list[Fence] = []
    levels: list[tuple[int, dict[str, list[int]]]] = [(-1, {})]
    for index, item in enumerate(items):
        sign = sign_of(item)
        if sign in BARS:
            levels[-1][1].setdefault(str(sign), []).append(index)
        elif isinstance(item, str) and sign in tables.OPENING:
            levels.append((index, {}))
        elif sign in tables.CLOSING and len(levels) > 1:
            begin, bars = levels.pop()
            fences += [Fence(begin=begin, end=index), *_bar_fences(items, bars)]
    for _, bars in levels:
        fences += _bar_fences(items, bars)
    return fences


def _bar_fences(items: Sequence[Item], bars: dict[str, list[int]]) -> list[Fence]:
    """Pair bars from left to right, unless that would leave one over, or a pair with nothing inside."""
    fences: list[Fence] = []
    for found in bars.values():
        pairs = list(zip(found[::2], found[1::2], strict=False))
        if len(found) % 2 == 0 and all(end - begin > 1 and isinstance(items[begin], str) for begin, end in pairs):
            fences += [Fence(begin=begin, end=end) for begin, end in pairs]
    return fences

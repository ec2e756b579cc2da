r"""Formulas as trees, and their canonical tokens.

An item of a list is a token (a sign, or a stray brace or mark that did not parse) or one of the nodes below.
"""

from dataclasses import dataclass, field
from typing import TypeAlias, Union

from latexify.pipeline.latex.tables import INFIX


@dataclass(slots=True)
class Group:
    """Braces around several items that must stay together."""

    items: "Items"


@dataclass(slots=True)
class Scripted:
    """A base (None without one) with its scripts: mark (``_`` or ``^``) and content (None if missing)."""

    base: "Item | None"
    scripts: "list[tuple[str, Items | None]]"


@dataclass(slots=True)
class Command:
    """A command with arguments, of which `num_missing` are missing."""

    name: str
    arguments: "list[Items]"
    optional: "Items | None" = None
    num_missing: int = 0


@dataclass(slots=True)
class Verbatim:
    """Tokens kept as they are: text, a column specification."""

    tokens: list[str] = field(default_factory=list)


Item: TypeAlias = Union[str, Group, Scripted, Command, Verbatim, "Environment"]
Items: TypeAlias = list[Item]


@dataclass(slots=True)
class Environment:
    r"""Cells, separated by ``&`` and ``\\`` among the items."""

    name: str
    specification: list[str]
    items: Items


SEPARATORS = frozenset(["&", "\\\\"])


def is_fragile(items: Items) -> bool:
    r"""Return whether a list must keep its braces, since its neighbours would change its meaning.

    That holds for cells, infix commands, an unmatched ``\begin``, and a last item that lacks arguments.
    """
    return any(isinstance(item, str) and is_boundary(item) for item in items) or (bool(items) and is_open(items[-1]))


def is_boundary(token: str) -> bool:
    """Return whether a token divides a list, so that it cannot carry scripts."""
    return token in SEPARATORS or token in INFIX or is_loose(token)


def is_loose(token: str) -> bool:
    """Return whether a token is an unmatched end of an environment."""
    return token.startswith(("\\begin{", "\\end{"))


def is_open(item: Item) -> bool:
    """Return whether an item would take what follows as its argument."""
    if isinstance(item, Command):
        return item.num_missing > 0
    if isinstance(item, Scripted):
        return item.scripts[-1][1] is None
    return False


def write(items: Items, tokens: list[str]) -> None:
    """Append the canonical tokens of `items` to `tokens`."""
    for item in items:
        if isinstance(item, str):
            tokens.append(item)
        elif isinstance(item, Scripted):
            write([Group([]) if item.base is None else item.base], tokens)
            for mark, content in item.scripts:
                tokens.append(mark)
                if content is not None:
                    _write_braced(content, tokens)
        elif isinstance(item, Command):
            _write_command(item, tokens)
        elif isinstance(item, Group):
            _write_braced(item.items, tokens)
        elif isinstance(item, Verbatim):
            tokens.extend(item.tokens)
        else:
            tokens += ["\\begin{" + item.name + "}", *item.specification]
            write(item.items, tokens)
            tokens.append("\\end{" + item.name + "}")


def _write_braced(items: Items, tokens: list[str]) -> None:
    tokens.append("{")
    write(items, tokens)
    tokens.append("}")


def _write_command(item: Command, tokens: list[str]) -> None:
    tokens.append(item.name)
    if item.optional:
        inner: list[str] = []
        write(item.optional, inner)
        is_braced = len(item.optional) == 1 and isinstance(item.optional[0], Group)
        # a bare bracket would end the optional argument
        tokens.extend(["[", "{", *inner, "}", "]"] if "]" in inner and not is_braced else ["[", *inner, "]"])
    for argument in item.arguments:
        _write_braced(argument, tokens)

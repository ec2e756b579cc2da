"""Typst of a formula, from its tree."""

from collections.abc import Callable, Sequence

from latexify.common.errors import LatexifyError
from latexify.pipeline.latex import tables
from latexify.pipeline.latex.tree import Command, Environment, Group, Item, Items, Scripted, Verbatim
from latexify.serve.formats.layout import (
    BARS,
    cells_of,
    crossed,
    fences_of,
    number_at,
    rows_of,
    sign_of,
    text_of,
    tree_of,
)
from latexify.serve.formats.typst_names import ARROWS, FUNCTIONS, MATRIX_DELIMITERS, SIGNS, TEXT_FUNCTIONS

_ESCAPED = frozenset("/_^&#$\"'\\`~@")
"""ASCII characters that mean something in Typst's mathematics."""
_EMPTY = '""'
_SEPARATING = frozenset(",;:")
"""Characters that mean something among the arguments of a function."""


def to_typst(latex: str) -> str:
    """Write a formula in the normal form for Typst, to stand between dollars.

    Raises LatexifyError if the formula is not whole, or holds something that is not known of Typst.
    """
    items = tree_of(latex)
    only = items[0] if len(items) == 1 else None
    if isinstance(only, Environment) and only.name in {"aligned", "gathered"}:
        items = only.items
    return _lines(items)


def _lines(items: Items) -> str:
    r"""Write lines that are not inside anything: ``&`` and a backslash separate them, as in Typst."""
    parts: list[str] = []
    for cell, separator in cells_of(items):
        parts += [_row(cell, is_argument=False), {"&": "&", "\\\\": "\\"}.get(separator, "")]
    return " ".join(part for part in parts if part)


def _row(items: Items, *, is_argument: bool) -> str:
    """Write items without separators among them. is_argument: inside a function, where commas separate arguments."""
    parts: list[str] = []
    written = _with_delimiters(items)
    index = 0
    while index < len(items):
        number = number_at(items, index)
        if index in written:
            parts += written[index]
        else:
            parts.append(number or _item(items[index], is_argument=is_argument))
        index += len(number) or 1
    return _joined(parts)


def _joined(parts: Sequence[str]) -> str:
    """Join parts by spaces, which keep letters and shorthands such as ``!=`` apart; none are needed inside brackets."""
    text = ""
    for part in parts:
        is_close = not text or text[-1] == "(" or part[:1] in {")", ","}
        text += part if is_close or not part else " " + part
    return text


def _with_delimiters(items: Items) -> dict[int, list[str]]:
    """Write the delimiters of a row, and the matrices between them, by their index.

    Typst pairs brackets itself and lets them grow. One without partner is escaped, or it would end a function.
    """
    written: dict[int, list[str]] = {}
    fences = fences_of(items)
    for fence in fences:
        inside = items[fence.begin + 1 : fence.end]
        left, right = str(items[fence.begin]), str(sign_of(items[fence.end]))
        opening, closing = SIGNS.get(left, left), SIGNS.get(right, right)
        only = inside[0] if len(inside) == 1 else None
        if isinstance(only, Environment) and only.name == "matrix" and (left, right) in MATRIX_DELIMITERS:
            written[fence.begin] = []
            written[fence.begin + 1] = []
            matrix = _matrix(only, delimiter=MATRIX_DELIMITERS[left, right])
            written[fence.end] = [matrix + _scripts(items[fence.end])]
        elif left in BARS:
            written[fence.begin] = [f"lr({opening}"]
            written[fence.end] = [f"{closing})" + _scripts(items[fence.end])]
        else:
            written[fence.begin] = [opening]
            written[fence.end] = [closing + _scripts(items[fence.end])]
    for index, item in enumerate(items):
        sign = sign_of(item)
        if index in written or sign not in tables.OPENING | tables.CLOSING:
            continue
        following = items[index + 1] if index + 1 < len(items) else None
        if item == "\\{" and isinstance(following, Environment):
            written[index], written[index + 1] = [], [_cases(following)]
        else:
            written[index] = ["\\" + SIGNS.get(str(sign), str(sign)) + _scripts(item)]
    return written


def _item(item: Item, *, is_argument: bool) -> str:
    if isinstance(item, str):
        return _sign(item, is_argument=is_argument)
    if isinstance(item, Scripted):
        return _scripted(item, is_argument=is_argument)
    if isinstance(item, Command):
        return _command(item)
    if isinstance(item, Group):
        return _inside(item.items)
    if isinstance(item, Verbatim):
        return _quoted([item])
    return _environment(item)


def _sign(token: str, *, is_argument: bool) -> str:
    if token in tables.OPERATORS:
        return token[1:]
    if (sign := SIGNS.get(token)) is not None:
        return sign
    if len(token) > 1:
        raise LatexifyError(f"Typst cannot be made of {token}: no sign of Typst is known for it")
    return "\\" + token if token in _ESCAPED or (is_argument and token in _SEPARATING) else token


def _inside(items: Items) -> str:
    """Write the content of an argument, in which rows and cells have no meaning."""
    if any(separator for _, separator in cells_of(items)):
        return _matrix(Environment("matrix", [], items), delimiter="#none")
    return _row(items, is_argument=True)


def _scripted(item: Scripted, *, is_argument: bool) -> str:
    if item.base is None:
        return _EMPTY + _scripts(item)
    if isinstance(item.base, Group):
        marks = [f"{'t' if mark == '^' else 'b'}: {_inside(content or [])}" for mark, content in item.scripts]
        return f"attach({_inside(item.base.items)}, {', '.join(marks)})"
    base = _item(item.base, is_argument=is_argument)
    if isinstance(item.base, Command) and item.base.name in _LIMITS:
        base = f"limits({base})"
    return base + _scripts(item)


_LIMITS = frozenset(["\\overbrace", "\\underbrace", "\\overbracket", "\\underbracket"])


def _scripts(item: Item) -> str:
    """Write the scripts of an item, if it has any. Primes come first, or they would belong to the subscript."""
    primes, scripts = "", ""
    for mark, content in item.scripts if isinstance(item, Scripted) else []:
        rest = list(content or [])
        while mark == "^" and rest and rest[0] == "\\prime":
            primes += "'"
            del rest[0]
        if rest:
            scripts += f"{mark}({_inside(rest)})"
    return primes + scripts


def _command(item: Command) -> str:
    name, arguments = item.name, item.arguments
    if name in tables.TEXT_COMMANDS or (name == "\\mathrm" and _is_word(arguments[0])):
        is_text = isinstance(arguments[0][0], Verbatim) or _is_word(arguments[0])
        text = _quoted(arguments[0]) if is_text else _inside(arguments[0])
        return f"{TEXT_FUNCTIONS[name]}({text})" if name in TEXT_FUNCTIONS else text
    if name in FUNCTIONS:
        return f"{FUNCTIONS[name]}({', '.join(map(_inside, arguments))})"
    if (write := _OTHERS.get(name)) is None:
        raise LatexifyError(f"Typst cannot be made of {name}: no function of Typst is known for it")
    return write(item)


def _is_word(items: Items) -> bool:
    return all(isinstance(item, str) and item.isalnum() for item in items)


def _quoted(items: Items) -> str:
    """Write a text as a string of Typst."""
    only = items[0] if len(items) == 1 else None
    characters = text_of(only.tokens if isinstance(only, Verbatim) else list(map(str, items)), target="Typst")
    return '"' + characters.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _root(item: Command) -> str:
    degree = f"root({_inside(item.optional)}, " if item.optional else "sqrt("
    return f"{degree}{_inside(item.arguments[0])})"


def _stacked(base: str, *, above: Items | None = None, below: Items | None = None) -> str:
    """Write something with something else above or below it."""
    sides = [f"{side}: {_inside(items)}" for side, items in (("t", above), ("b", below)) if items]
    return f"attach(limits({base}), {', '.join(sides)})"


def _arrow(item: Command) -> str:
    return _stacked(ARROWS[item.name], above=item.arguments[0], below=item.optional)


_OTHERS: dict[str, Callable[[Command], str]] = {
    "\\sqrt": _root,
    "\\not": lambda item: crossed(item, SIGNS, target="Typst"),
    **dict.fromkeys(ARROWS, _arrow),
    "\\overset": lambda item: _stacked(_inside(item.arguments[1]), above=item.arguments[0]),
    "\\underset": lambda item: _stacked(_inside(item.arguments[1]), below=item.arguments[0]),
    "\\bcancel": lambda item: f"cancel(inverted: #true, {_inside(item.arguments[0])})",
    "\\xcancel": lambda item: f"cancel(cross: #true, {_inside(item.arguments[0])})",
    "\\boxed": lambda item: f"#box(stroke: 0.5pt, inset: 3pt, ${_inside(item.arguments[0])}$)",
    "\\pmod": lambda item: f"space (mod {_inside(item.arguments[0])})",
    "\\mod": lambda item: f"space mod {_inside(item.arguments[0])}",
    "\\pod": lambda item: f"space ({_inside(item.arguments[0])})",
}


def _environment(item: Environment) -> str:
    if item.name == "cases":
        return _cases(item)
    if item.name == "array":
        return _matrix(item, delimiter=f"#none, augment: #(vline: ({_rules(item.specification)}))")
    if item.name in {"matrix", "aligned", "gathered"}:
        return _matrix(item, delimiter="#none")
    raise LatexifyError(f"Typst cannot be made of the environment {item.name}")


def _rules(specification: Sequence[str]) -> str:
    """Return the numbers of the columns behind which an array has a rule, as items of an array of Typst."""
    number, rules = 0, []
    for token in specification:
        if token == "|":
            rules.append(f"{number},")
        elif token in {"l", "c", "r"}:
            number += 1
        elif token not in {"{", "}"}:
            raise LatexifyError(f"Typst cannot be made of an array with the columns {''.join(specification)}")
    return " ".join(rules)


def _rows(items: Items) -> list[list[str]]:
    return [[_row(cell, is_argument=True) for cell in row] for row in rows_of(items)]


def _matrix(item: Environment, *, delimiter: str) -> str:
    rows = [", ".join(cell or _EMPTY for cell in row) for row in _rows(item.items)]
    return f"mat(delim: {delimiter}, {'; '.join(rows)})"


def _cases(item: Environment) -> str:
    gap = " & " if item.name == "aligned" else " & quad "
    rows = [gap.join(row) or _EMPTY for row in _rows(item.items)]
    return f"cases({', '.join(rows)})"

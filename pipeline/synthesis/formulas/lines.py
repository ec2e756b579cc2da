r"""Formulas of several lines: equations one under another, systems, cases, matrices.

The label has one form for what a picture shows. Lines that are aligned at their relations are ``aligned``, with ``&``
before the relation. Other lines are ``gathered``. Lines behind one large brace are ``cases``, with a second column
where there is one.
"""

from collections.abc import Callable
from random import Random

from latexify.pipeline.synthesis.formulas.expression import (
    Fenced,
    Lines,
    Matrix,
    Node,
    Row,
    Scripts,
    Symbol,
    row,
    tokens,
)
from latexify.pipeline.synthesis.formulas.symbols import ATOMS, DIGITS, LATIN_LOWER, ORDERS, Atom

COUNTS = {2: 6, 3: 4, 4: 2}
"""Weight of each number of lines."""
KINDS = {"equations": 4, "chain": 3, "gathered": 3, "system": 3, "cases": 2, "matrix": 2}
"""Weight of each kind of formula."""
MOST_TRIES = 20
"""Lines that are drawn until one has the form that is needed."""
_HEADS = ("f", "g", "h", "F", "u")

Draw = Callable[[], Node]
"""Draws a formula of one line."""


def several_lines(rng: Random, draw: Draw) -> Node:
    """Make a formula of two to four lines, each as `draw` makes it."""
    count = rng.choices(list(COUNTS), list(COUNTS.values()))[0]
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    if kind == "matrix":
        return _matrix(rng, count)
    if kind == "cases":
        return _cases(rng, draw, count)
    equations = [] if kind == "gathered" else [_equation(draw) for _ in range(count)]
    found = [equation for equation in equations if equation]
    if len(found) < count:  # also where hardly any line has a relation
        return Lines("gathered", tuple((_line(draw),) for _ in range(count)))
    if kind == "system":
        return Lines("cases", tuple((row(left, right),) for left, right in found))
    if kind == "chain":
        return Lines("aligned", (found[0], *((None, right) for _, right in found[1:])))
    return Lines("aligned", tuple(found))


def _line(draw: Draw) -> Node:
    """A line that may stand at any place."""
    for _ in range(MOST_TRIES):
        line = draw()
        if _may_begin(line):
            return line
    return Symbol("x")


def _may_begin(line: Node) -> bool:
    r"""Whether a line may follow ``\\``, which a bracket or a star would be an option of.

    A line that begins with a relation would look like one that is aligned.
    """
    first = tokens(line)[0]
    return first not in {"[", "*"} and ATOMS.get(first) is not Atom.RELATION


def _equation(draw: Draw) -> tuple[Node, Node] | None:
    """A line in two parts, the second from its relation on; None if too many lines have no relation."""
    for _ in range(MOST_TRIES):
        line = draw()
        parts = divided(line)
        if parts is not None and _may_begin(line):
            return parts
    return None


def divided(line: Node) -> tuple[Node, Node] | None:
    """Divide a line before its first relation; None if it has none with something on both sides."""
    items = line.items if isinstance(line, Row) else ()
    for number, item in enumerate(items):
        if isinstance(item, Symbol) and ATOMS.get(item.token) is Atom.RELATION and item.token != ":":
            is_inside = 0 < number < len(items) - 1
            return (row(*items[:number]), row(*items[number:])) if is_inside else None
    return None


def _cases(rng: Random, draw: Draw, count: int) -> Node:
    """A function of several cases, each a value and a condition."""
    variable = Symbol(rng.choice("xxxtn"))
    head = row(Symbol(rng.choice(_HEADS)), Fenced("(", variable, ")"), Symbol("="))
    rows = []
    for _ in range(count):
        value = _line(draw)
        parts = divided(value)
        condition = row(variable, Symbol(rng.choice(("=", *ORDERS))), Symbol(rng.choice(DIGITS)))
        rows.append((parts[0] if parts else value, condition))
    return row(head, Lines("cases", tuple(rows)))


def _matrix(rng: Random, count: int) -> Node:
    """A matrix of `count` rows, of numbers, letters or letters with their places."""
    num_columns = rng.randint(1, 4)
    style = rng.choice(("digits", "letters", "places"))
    letter = rng.choice(LATIN_LOWER)

    def cell(line: int, column: int) -> Node:
        if style == "places":
            return Scripts(Symbol(letter), sub=row(Symbol(str(line + 1)), Symbol(str(column + 1))))
        digits = row(*map(Symbol, rng.choices(DIGITS[1:], k=rng.choice((1, 1, 1, 2)))))
        entry = Symbol(rng.choice(LATIN_LOWER)) if style == "letters" else digits
        return row(Symbol("-"), entry) if rng.random() < 0.2 else entry

    grid = tuple(tuple(cell(line, column) for column in range(num_columns)) for line in range(count))
    left, right = rng.choice(("()", "()", "[]", "||") if num_columns == count else ("()", "[]"))
    return Fenced(left, Matrix(grid), right)

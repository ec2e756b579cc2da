"""Random expressions of an exact number of tokens.

Every rule is asked for a node of exactly `size` tokens and divides them among its parts, so that a label's length is
right by construction. A rule that nests (`deep`) is offered only while `depth` is left; flat rules and brackets are
always there to fill what remains.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from pipeline.synthetic import symbols
from pipeline.synthetic.expression import Fenced, Fraction, Matrix, Node, Root, Row, Scripts, Symbol, row

SHORT_SHARE = 0.15
"""Share of expressions of one to three tokens, as far as the limits allow them."""
SHORT_TOKENS = 3

_VARIABLES = "xyzabcntkfgpqrsuvhmdijewl"
_GREEK = symbols.GREEK_LOWER
_INDICES = "ijknm"


@dataclass(frozen=True, slots=True)
class Production:
    """One way to write something: usable from `least` to `most` tokens, as often as `weight` says.

    build(rng, size, depth): `depth` is already the depth left for its parts.
    """

    weight: float
    least: int
    most: int
    deep: bool
    build: Callable[[Random, int, int], Node]


def expression(rng: Random, *, min_tokens: int, max_tokens: int, max_depth: int) -> Node:
    """A plausible expression of `min_tokens` to `max_tokens` tokens, nested at most `max_depth` deep."""
    short = min_tokens <= SHORT_TOKENS and rng.random() < SHORT_SHARE
    low = min_tokens if short else max(min_tokens, min(SHORT_TOKENS + 1, max_tokens))
    high = min(SHORT_TOKENS, max_tokens) if short else max_tokens
    size = rng.randint(low, high)
    if size == 1:
        return Symbol(rng.choice(symbols.ISOLATED))
    return _choose(rng, _STATEMENTS, size, max_depth)


def _choose(rng: Random, productions: tuple[Production, ...], size: int, depth: int) -> Node:
    usable = [p for p in productions if p.least <= size <= p.most and (depth > 0 or not p.deep)]
    chosen = rng.choices(usable, [p.weight for p in usable])[0]
    return chosen.build(rng, size, depth - chosen.deep)


def _divide(rng: Random, size: int, least: list[int]) -> list[int]:
    """Divide `size` tokens among parts that need at least `least` each: a uniformly random composition."""
    spare = size - sum(least)
    cuts = sorted(rng.randint(0, spare) for _ in least[1:])
    bounds = [0, *cuts, spare]
    return [need + high - low for need, (low, high) in zip(least, pairwise(bounds), strict=True)]


def _symbol(rng: Random, choices: tuple[str, ...] | str) -> Symbol:
    return Symbol(rng.choice(choices))


# --- statements -----------------------------------------------------------------------------------------------------


def _relation(rng: Random, size: int, depth: int) -> Node:
    sign = rng.choices((symbols.EQUALITIES[:1], symbols.EQUALITIES, symbols.ORDERS), (6, 2, 3))[0]
    left, right = _divide(rng, size - 1, [1, 1])
    return row(_sum(rng, left, depth), _symbol(rng, sign), _sum(rng, right, depth))


def _membership(rng: Random, size: int, depth: int) -> Node:
    element, container = _divide(rng, size - 1, [1, 1])
    sign = _symbol(rng, symbols.SET_RELATIONS)
    return row(_factor(rng, element, depth), sign, _factor(rng, container, depth) if container > 1 else _set(rng))


def _set(rng: Random) -> Symbol:
    return _symbol(rng, (*symbols.LATIN_UPPER, "\\Omega", "\\Gamma"))


def _arrow(rng: Random, size: int, depth: int) -> Node:
    left, right = _divide(rng, size - 1, [1, 1])
    return row(_sum(rng, left, depth), _symbol(rng, symbols.ARROWS), _sum(rng, right, depth))


def _mapping(rng: Random, size: int, depth: int) -> Node:
    source, target = _divide(rng, size - 3, [1, 1])
    name = _symbol(rng, ("f", "g", "h", "\\phi", "\\psi", "F", "T"))
    return row(name, Symbol(":"), _term(rng, source, depth), Symbol("\\rightarrow"), _term(rng, target, depth))


def _quantified(rng: Random, size: int, depth: int) -> Node:
    head = (_symbol(rng, symbols.QUANTIFIERS), _symbol(rng, "xyznk"), Symbol("\\in"), _set(rng))
    if size == 4:
        return row(*head)
    return row(*head, Symbol(":"), _choose(rng, _STATEMENTS[:1], size - 5, depth))


def _limit(rng: Random, size: int, depth: int) -> Node:
    body, target = _divide(rng, size - 6, [1, 1])
    variable = _symbol(rng, "nxtkhy")
    below = row(variable, Symbol("\\rightarrow"), _limit_target(rng, target, depth))
    return row(Scripts(Symbol("\\lim"), sub=below), _term(rng, body, depth))


def _limit_target(rng: Random, size: int, depth: int) -> Node:
    if size == 1:
        return Symbol(rng.choices(("\\infty", "0", "1", rng.choice(_VARIABLES)), (5, 4, 1, 2))[0])
    return _sum(rng, size, depth)


def _extremum(rng: Random, size: int, depth: int) -> Node:
    body, below = _divide(rng, size - 4, [1, 1])
    name = _symbol(rng, ("\\max", "\\min"))
    return row(Scripts(name, sub=_index(rng, below, depth)), _term(rng, body, depth))


# --- sums, terms, factors -------------------------------------------------------------------------------------------


def _sum(rng: Random, size: int, depth: int) -> Node:
    return _choose(rng, _SUMS, size, depth)


def _negation(rng: Random, size: int, depth: int) -> Node:
    return row(Symbol(rng.choices(("-", "\\pm"), (6, 1))[0]), _term(rng, size - 1, depth))


def _addition(rng: Random, size: int, depth: int) -> Node:
    left, right = _divide(rng, size - 1, [1, 1])
    sign = Symbol(rng.choices(symbols.ADDITIONS, (10, 8, 1, 1, 1))[0])
    return row(_term(rng, left, depth), sign, _sum(rng, right, depth) if right > 2 else _term(rng, right, depth))


def _series(rng: Random, size: int, depth: int) -> Node:
    first, last = _divide(rng, size - 3, [1, 1])
    plus = Symbol("+")
    return row(_term(rng, first, depth), plus, Symbol("\\cdots"), plus, _term(rng, last, depth))


def _term(rng: Random, size: int, depth: int) -> Node:
    return _choose(rng, _TERMS, size, depth)


def _product(rng: Random, size: int, depth: int) -> Node:
    """Factors side by side; a number only in front, so that `2` and `3` do not read as `23`."""
    first, second = _divide(rng, size, [1, 1])
    head = _factor(rng, first, depth) if first > 1 or rng.random() < 0.5 else _symbol(rng, symbols.DIGITS[2:])
    tail = _factor(rng, second, depth)
    return row(*((tail, head) if _ends_greedily(head) else (head, tail)))


def _ends_greedily(node: Node) -> bool:
    """Whether what follows would read as part of its last argument, as in a function's or an integral's."""
    if not isinstance(node, Row):
        return False
    first = node.items[0]
    base = first.base if isinstance(first, Scripts) else first
    return isinstance(base, Symbol) and base.token in (*symbols.NAMED, *symbols.BIG_OPERATORS, *symbols.INTEGRALS)


def _multiplication(rng: Random, size: int, depth: int) -> Node:
    left, right = _divide(rng, size - 1, [1, 1])
    sign = Symbol(rng.choices(symbols.MULTIPLICATIONS, (5, 4, 1, 1, 1, 2))[0])
    return row(_operand(rng, left, depth), sign, _operand(rng, right, depth))


def _operand(rng: Random, size: int, depth: int) -> Node:
    if size <= 2 and rng.random() < 0.5:
        return _number(rng, size, depth)
    return _factor(rng, size, depth)


def _factor(rng: Random, size: int, depth: int) -> Node:
    return _choose(rng, _FACTORS, size, depth)


def _letter(rng: Random, size: int, _depth: int) -> Node:
    assert size == 1
    return _symbol(rng, rng.choices((_VARIABLES, symbols.LATIN_UPPER, _GREEK, symbols.GREEK_UPPER), (12, 4, 5, 1))[0])


def _constant(rng: Random, size: int, _depth: int) -> Node:
    assert size == 1
    return _symbol(rng, symbols.CONSTANTS)


def _number(rng: Random, size: int, _depth: int) -> Node:
    digits = [rng.choice(symbols.DIGITS if place or size == 1 else symbols.DIGITS[1:]) for place in range(size)]
    if size >= 3 and rng.random() < 0.5:
        digits[rng.randrange(1, size - 1)] = "."
    return row(*map(Symbol, digits))


def _factorial(rng: Random, size: int, depth: int) -> Node:
    return row(_factor(rng, size - 1, depth) if size != 2 else _symbol(rng, "nkm56789"), Symbol("!"))


def _prefixed(rng: Random, size: int, depth: int) -> Node:
    return row(_symbol(rng, ("\\Delta", "\\nabla", "\\partial", "d")), _factor(rng, size - 1, depth))


def _power(rng: Random, size: int, depth: int) -> Node:
    base, exponent = _divide(rng, size - 3, [1, 1]) if rng.random() < 0.3 else (1, size - 4)
    return Scripts(_base(rng, base, depth), sup=_exponent(rng, exponent, depth))


def _indexed(rng: Random, size: int, depth: int) -> Node:
    return Scripts(_letter(rng, 1, depth), sub=_index(rng, size - 4, depth))


def _indexed_power(rng: Random, size: int, depth: int) -> Node:
    index, exponent = _divide(rng, size - 7, [1, 1])
    return Scripts(_letter(rng, 1, depth), sub=_index(rng, index, depth), sup=_exponent(rng, exponent, depth))


def _base(rng: Random, size: int, depth: int) -> Node:
    if size == 1:
        return _symbol(rng, symbols.DIGITS[1:]) if rng.random() < 0.15 else _letter(rng, 1, depth)
    return _bracket(rng, size, depth) if size >= 3 else _number(rng, size, depth)


def _exponent(rng: Random, size: int, depth: int) -> Node:
    if size == 1:
        mark = rng.choices(("digit", "letter", "\\prime", "*", "+", "-", "T"), (8, 5, 1.5, 0.4, 0.3, 0.3, 0.5))[0]
        if mark == "digit":
            return _symbol(rng, "2222233456789")
        return _letter(rng, 1, depth) if mark == "letter" else Symbol(mark)
    return _sum(rng, size, depth)


def _index(rng: Random, size: int, depth: int) -> Node:
    if size == 1:
        return _symbol(rng, rng.choices((_INDICES, symbols.DIGITS, _VARIABLES), (5, 5, 2))[0])
    if size == 2:
        return row(_symbol(rng, _INDICES), _symbol(rng, _INDICES + "0123"))
    return _choose(rng, _SUMS, size, depth)


def _derivative(rng: Random, size: int, depth: int) -> Node:
    sup = row(*[Symbol("\\prime")] * rng.randint(1, 1 if size < 9 else 2))
    primes = len(sup.items) if isinstance(sup, Row) else 1
    name = Scripts(_symbol(rng, "fghuvyFG"), sup=sup)
    rest = size - 4 - primes
    return row(name, Fenced("(", _arguments(rng, rest - 2, depth), ")")) if rest else name


def _application(rng: Random, size: int, depth: int) -> Node:
    name = _symbol(rng, ("f", "g", "h", "F", "P", "u", "\\phi", "\\psi", "\\Gamma"))
    return row(name, Fenced("(", _arguments(rng, size - 3, depth), ")"))


def _arguments(rng: Random, size: int, depth: int) -> Node:
    """A list with commas, or a single sum."""
    if size < 3 or rng.random() < 0.5:
        return _sum(rng, size, depth)
    first, second = _divide(rng, size - 1, [1, 1])
    return row(_term(rng, first, depth), Symbol(","), _arguments(rng, second, depth))


def _bracket(rng: Random, size: int, depth: int) -> Node:
    number = rng.choices(range(len(symbols.OPENINGS)), (14, 3, 0, 1, 1, 1))[0]
    return Fenced(symbols.OPENINGS[number], _sum(rng, size - 2, depth), symbols.CLOSINGS[number])


def _absolute(rng: Random, size: int, depth: int) -> Node:
    return Fenced(symbols.BAR, _sum(rng, size - 2, depth), symbols.BAR)


def _braces(rng: Random, size: int, depth: int) -> Node:
    body = size - 2
    if body >= 5 and rng.random() < 0.5:
        first, last = _divide(rng, body - 3, [1, 1])
        dots = (Symbol(","), Symbol("\\dots"), Symbol(","))
        return Fenced("\\{", row(_factor(rng, first, depth), *dots, _factor(rng, last, depth)), "\\}")
    return Fenced("\\{", _arguments(rng, body, depth), "\\}")


def _interval(rng: Random, size: int, depth: int) -> Node:
    low, high = _divide(rng, size - 3, [1, 1])
    left, right = rng.choice(("()", "[]", "(]", "[)"))
    return Fenced(left, row(_sum(rng, low, depth), Symbol(","), _sum(rng, high, depth)), right)


def _fraction(rng: Random, size: int, depth: int) -> Node:
    top, bottom = _divide(rng, size - 5, [1, 1])
    return Fraction(_part(rng, top, depth), _part(rng, bottom, depth))


def _part(rng: Random, size: int, depth: int) -> Node:
    """A numerator, denominator or radicand: a number or a sum."""
    return _number(rng, size, depth) if size <= 2 and rng.random() < 0.4 else _sum(rng, size, depth)


def _differential(rng: Random, size: int, depth: int) -> Node:
    """A derivative in Leibniz' notation."""
    mark = _symbol(rng, ("d", "\\partial"))
    top, bottom = _divide(rng, size - 7, [1, 1])
    above, below = _factor(rng, top, depth), _factor(rng, bottom, depth)
    return Fraction(row(mark, above), row(mark, below))


def _square_root(rng: Random, size: int, depth: int) -> Node:
    return Root(_part(rng, size - 3, depth))


def _root(rng: Random, size: int, depth: int) -> Node:
    return Root(_part(rng, size - 6, depth), index=_symbol(rng, "33345nmk"))


def _function(rng: Random, size: int, depth: int) -> Node:
    return row(_symbol(rng, symbols.FUNCTIONS), _argument(rng, size - 1, depth))


def _function_power(rng: Random, size: int, depth: int) -> Node:
    name = _symbol(rng, ("\\sin", "\\cos", "\\tan", "\\log"))
    scripted = Scripts(name, sub=_symbol(rng, "23ab")) if name.token == "\\log" else Scripts(name, sup=Symbol("2"))
    return row(scripted, _argument(rng, size - 5, depth))


def _argument(rng: Random, size: int, depth: int) -> Node:
    if size == 1:
        return _symbol(rng, ("x", "y", "t", "z", "\\theta", "\\alpha", "\\omega", "\\pi", "n", "2"))
    if size >= 3 and rng.random() < 0.6:
        return Fenced("(", _sum(rng, size - 2, depth), ")")
    return _product(rng, size, depth)


def _plain_operator(rng: Random, size: int, depth: int) -> Node:
    return row(_symbol(rng, symbols.BIG_OPERATORS), _term(rng, size - 1, depth))


def _indexed_operator(rng: Random, size: int, depth: int) -> Node:
    below, body = _divide(rng, size - 4, [1, 1])
    operator = Scripts(_symbol(rng, symbols.BIG_OPERATORS), sub=_index(rng, below, depth))
    return row(operator, _term(rng, body, depth))


def _bounded_operator(rng: Random, size: int, depth: int) -> Node:
    above, body = _divide(rng, size - 10, [1, 1])
    operator = Symbol(rng.choices(symbols.BIG_OPERATORS, (3, 1))[0])
    start = row(_symbol(rng, _INDICES), Symbol("="), _symbol(rng, "0111i"))
    top = _symbol(rng, ("n", "n", "N", "m", "\\infty", "k")) if above == 1 else _sum(rng, above, depth)
    return row(Scripts(operator, sub=start, sup=top), _term(rng, body, depth))


def _integration(rng: Random) -> tuple[Symbol, Symbol]:
    return Symbol("d"), _symbol(rng, ("x", "x", "t", "y", "u", "s", "\\theta"))


def _integral(rng: Random, size: int, depth: int) -> Node:
    return row(Symbol("\\int"), _term(rng, size - 3, depth), *_integration(rng))


def _region_integral(rng: Random, size: int, depth: int) -> Node:
    sign = _symbol(rng, symbols.INTEGRALS)
    return row(Scripts(sign, sub=_set(rng)), _term(rng, size - 7, depth), *_integration(rng))


def _definite_integral(rng: Random, size: int, depth: int) -> Node:
    low, high, body = _divide(rng, size - 9, [1, 1, 1])
    bounds = Scripts(Symbol("\\int"), sub=_bound(rng, low, depth), sup=_bound(rng, high, depth))
    return row(bounds, _term(rng, body, depth), *_integration(rng))


def _bound(rng: Random, size: int, depth: int) -> Node:
    return _symbol(rng, ("0", "1", "a", "b", "\\infty", "\\pi", "t", "x")) if size == 1 else _sum(rng, size, depth)


def _matrix(rng: Random, size: int, depth: int) -> Node:
    """A matrix in brackets: a column, or two by two where there is room. Separators are tokens too."""
    left, right = rng.choice(("()", "[]", "||")) if size >= 11 else rng.choice(("()", "[]"))
    shapes = [(rows, columns) for rows, columns in ((2, 1), (2, 2), (3, 3)) if 2 * rows * columns + 3 <= size]
    rows, columns = shapes[-1] if rng.random() < 0.8 else shapes[0]
    sizes = _divide(rng, size - 4 - (rows * columns - 1), [1] * (rows * columns))
    cells = [_number(rng, n, depth) if n <= 1 and rng.random() < 0.5 else _sum(rng, n, depth) for n in sizes]
    grid = tuple(tuple(cells[start : start + columns]) for start in range(0, rows * columns, columns))
    return Fenced(left, Matrix(grid), right)


_ANY = 10_000

_STATEMENTS = (
    Production(8, 1, _ANY, False, lambda rng, size, depth: _sum(rng, size, depth)),
    Production(9, 3, _ANY, False, _relation),
    Production(0.8, 3, 9, False, _membership),
    Production(0.7, 3, _ANY, False, _arrow),
    Production(0.5, 5, 12, False, _mapping),
    Production(0.3, 4, 4, False, _quantified),
    Production(0.5, 6, _ANY, False, _quantified),
    Production(1.0, 8, _ANY, True, _limit),
    Production(0.4, 6, _ANY, True, _extremum),
)
_SUMS = (
    Production(5, 1, 12, False, _term),
    Production(1, 2, 12, False, _negation),
    Production(6, 3, _ANY, False, _addition),
    Production(0.3, 5, _ANY, False, _series),
)
_TERMS = (
    Production(5, 1, _ANY, False, _factor),
    Production(1.2, 1, 3, False, _number),
    Production(4, 2, _ANY, False, _product),
    Production(1, 3, _ANY, False, _multiplication),
)
_FACTORS = (
    Production(10, 1, 1, False, _letter),
    Production(0.3, 1, 1, False, _constant),
    Production(0.7, 2, 2, False, _factorial),
    Production(0.7, 2, 6, False, _prefixed),
    Production(1.2, 2, _ANY, False, _function),
    Production(0.5, 6, _ANY, True, _function_power),
    Production(1.2, 3, _ANY, False, _bracket),
    Production(0.6, 3, _ANY, False, _absolute),
    Production(0.5, 3, _ANY, False, _braces),
    Production(0.5, 5, _ANY, False, _interval),
    Production(1.5, 4, _ANY, False, _application),
    Production(6, 5, _ANY, True, _power),
    Production(3, 5, _ANY, True, _indexed),
    Production(2, 9, _ANY, True, _indexed_power),
    Production(0.6, 5, 5, True, _derivative),
    Production(0.6, 8, _ANY, True, _derivative),
    Production(5, 7, _ANY, True, _fraction),
    Production(0.8, 9, 14, True, _differential),
    Production(3, 4, _ANY, True, _square_root),
    Production(1, 7, _ANY, True, _root),
    Production(0.2, 2, 5, False, _plain_operator),
    Production(0.8, 6, _ANY, True, _indexed_operator),
    Production(3, 12, _ANY, True, _bounded_operator),
    Production(0.7, 4, _ANY, False, _integral),
    Production(0.5, 8, _ANY, True, _region_integral),
    Production(1.5, 12, _ANY, True, _definite_integral),
    Production(1.5, 7, _ANY, True, _matrix),
)

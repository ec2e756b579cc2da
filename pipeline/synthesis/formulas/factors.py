"""How formulas grow, and the rules for factors: what stands between operators.

Every rule makes a node of exactly `size` tokens and divides them among its parts, so a label's length is right by
construction. A rule that nests is offered only while depth is left; flat rules and brackets can fill any size.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from latexify.pipeline.synthesis.formulas import symbols
from latexify.pipeline.synthesis.formulas.expression import Fenced, Fraction, Matrix, Node, Root, Scripts, Symbol, row

ANY = 10_000
"""No upper limit on a rule's tokens."""
VARIABLES = "xxyyzabcntkfgpqrsuvhmdijewl"
INDICES = "ijknm"
SETS = (*symbols.LATIN_UPPER, "\\Omega", "\\Gamma")
_FUNCTION_NAMES = ("f", "f", "g", "h", "F", "P", "u", "\\phi", "\\psi", "\\Gamma")
_DEGREES = "33345nmk"
_PREFIXES = ("\\Delta", "\\nabla", "\\partial", "d")


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to write a kind of node: usable from `least` to `most` tokens, with a weight among its alternatives.

    build(grow, size, depth) makes a node of exactly `size` tokens, with `depth` left for its parts; a rule that `nests`
    takes one level of depth itself.
    """

    weight: float
    least: int
    most: int
    build: "Callable[[Growth, int, int], Node]"
    nests: bool = False


class Growth:
    """The random choices of one expression. rules: the ways to write each kind of node."""

    def __init__(self, rng: Random, rules: Mapping[str, Sequence[Rule]]) -> None:
        self.rng = rng
        self._rules = rules

    def node(self, kind: str, size: int, depth: int) -> Node:
        """A node of `kind` with exactly `size` tokens."""
        usable = [r for r in self._rules[kind] if r.least <= size <= r.most and (depth > 0 or not r.nests)]
        rule = self.rng.choices(usable, [r.weight for r in usable])[0]
        return rule.build(self, size, depth - rule.nests)

    def sum(self, size: int, depth: int) -> Node:
        """Terms with signs between them."""
        return self.node("sum", size, depth)

    def term(self, size: int, depth: int) -> Node:
        """Factors side by side."""
        return self.node("term", size, depth)

    def factor(self, size: int, depth: int) -> Node:
        """A part of a product that is not a number."""
        return self.node("factor", size, depth)

    def symbol(self, choices: Sequence[str]) -> Symbol:
        """One of these terminals, all equally likely."""
        return Symbol(self.rng.choice(choices))

    def weighted(self, choices: Mapping[str, float]) -> Symbol:
        """One of these terminals, by weight."""
        return Symbol(self.rng.choices(list(choices), list(choices.values()))[0])

    def happens(self, probability: float) -> bool:
        """Whether a chance of this probability comes true."""
        return self.rng.random() < probability

    def divide(self, size: int, parts: int) -> list[int]:
        """Divide `size` tokens among parts of at least one."""
        spare = size - parts
        cuts = sorted(self.rng.randint(0, spare) for _ in range(parts - 1))
        return [1 + high - low for low, high in pairwise([0, *cuts, spare])]


def letter(grow: Growth, size: int = 1, _depth: int = 0) -> Symbol:
    """A variable, mostly Latin and small."""
    assert size == 1
    alphabets = (VARIABLES, symbols.LATIN_UPPER, symbols.GREEK_LOWER, symbols.GREEK_UPPER)
    return grow.symbol(grow.rng.choices(alphabets, (12, 4, 5, 1))[0])


def number(grow: Growth, size: int, _depth: int = 0) -> Node:
    """A number without leading zeros; from three tokens on sometimes with a decimal point."""
    digits = [grow.rng.choice(symbols.DIGITS if i or size == 1 else symbols.DIGITS[1:]) for i in range(size)]
    if size >= 3 and grow.happens(0.5):
        digits[grow.rng.randrange(1, size - 1)] = "."
    return row(*map(Symbol, digits))


def index(grow: Growth, size: int, depth: int) -> Node:
    """A subscript."""
    if size == 1:
        return grow.symbol(grow.rng.choices((INDICES, symbols.DIGITS, VARIABLES), (5, 5, 2))[0])
    if size == 2:
        return row(grow.symbol(INDICES), grow.symbol(INDICES + "0123"))
    return grow.sum(size, depth)


def part(grow: Growth, size: int, depth: int, kind: str = "sum", number_chance: float = 0.4) -> Node:
    """A numerator, denominator, radicand, cell or operand: a number or a node of this kind."""
    return number(grow, size) if size <= 2 and grow.happens(number_chance) else grow.node(kind, size, depth)


def arguments(grow: Growth, size: int, depth: int) -> Node:
    """A list with commas, or a single sum."""
    if size < 3 or grow.happens(0.5):
        return grow.sum(size, depth)
    first, second = grow.divide(size - 1, 2)
    return row(grow.term(first, depth), Symbol(","), arguments(grow, second, depth))


def in_brackets(grow: Growth, size: int, depth: int) -> Node:
    """Arguments in round brackets."""
    return Fenced("(", arguments(grow, size - 2, depth), ")")


def listing(
    grow: Growth, size: int, depth: int, kind: str = "factor", marks: Sequence[str] = (",", "\\dots", ",")
) -> Node:
    """The first and the last element of a list, with dots between them."""
    first, last = grow.divide(size - 3, 2)
    return row(grow.node(kind, first, depth), *map(Symbol, marks), grow.node(kind, last, depth))


def _power(grow: Growth, size: int, depth: int) -> Node:
    base, exponent = grow.divide(size - 3, 2) if grow.happens(0.3) else (1, size - 4)
    if base == 2:
        return row(grow.symbol("23456789"), Scripts(letter(grow), sup=_exponent(grow, exponent, depth)))
    if base == 1 and grow.happens(0.12):
        return Scripts(grow.symbol(symbols.DIGITS[1:]), sup=grow.sum(exponent, depth))
    return Scripts(letter(grow) if base == 1 else _bracket(grow, base, depth), sup=_exponent(grow, exponent, depth))


def _exponent(grow: Growth, size: int, depth: int) -> Node:
    """The exponent, or the mark, of a letter or bracket."""
    if size > 1:
        return grow.sum(size, depth)
    marks = {"\\prime": 1.5, "*": 0.4, "+": 0.3, "-": 0.3, "T": 0.5}
    if grow.happens(0.18):
        return grow.weighted(marks)
    return grow.symbol("2222233456789") if grow.happens(0.6) else letter(grow)


def _indexed_power(grow: Growth, size: int, depth: int) -> Node:
    below, above = grow.divide(size - 7, 2)
    return Scripts(letter(grow), sub=index(grow, below, depth), sup=_exponent(grow, above, depth))


def _derivative(grow: Growth, size: int, depth: int) -> Node:
    primes = 2 if size >= 9 and grow.happens(0.3) else 1
    name = Scripts(grow.symbol("fghuvyFG"), sup=row(*[Symbol("\\prime")] * primes))
    left = size - 4 - primes
    return row(name, in_brackets(grow, left, depth)) if left else name


def _bracket(grow: Growth, size: int, depth: int) -> Node:
    pair = grow.rng.choices(range(len(symbols.OPENINGS)), (14, 3, 1, 1, 1, 1))[0]
    return Fenced(symbols.OPENINGS[pair], grow.sum(size - 2, depth), symbols.CLOSINGS[pair])


def _set(grow: Growth, size: int, depth: int) -> Node:
    make = listing if size >= 7 and grow.happens(0.5) else arguments
    return Fenced("\\{", make(grow, size - 2, depth), "\\}")


def _interval(grow: Growth, size: int, depth: int) -> Node:
    low, high = grow.divide(size - 3, 2)
    left, right = grow.rng.choice(("()", "[]", "(]", "[)"))
    return Fenced(left, row(part(grow, low, depth), Symbol(","), part(grow, high, depth)), right)


def _function_power(grow: Growth, size: int, depth: int) -> Node:
    if grow.happens(0.4):
        scripted = Scripts(Symbol("\\log"), sub=grow.symbol("23ab"))
    else:
        scripted = Scripts(grow.symbol(("\\sin", "\\cos", "\\tan")), sup=Symbol("2"))
    return row(scripted, _argument(grow, size - 5, depth))


def _argument(grow: Growth, size: int, depth: int) -> Node:
    if size == 1:
        return grow.symbol(("x", "x", "y", "t", "z", "\\theta", "\\alpha", "\\omega", "\\pi", "n", "2"))
    if size == 2:
        return row(grow.symbol("2345n"), grow.symbol(("x", "t", "y", "\\theta", "\\pi", "\\alpha")))
    return Fenced("(", grow.sum(size - 2, depth), ")") if grow.happens(0.7) else grow.factor(size, depth)


def _fraction(grow: Growth, size: int, depth: int) -> Node:
    top, bottom = grow.divide(size - 5, 2)
    return Fraction(part(grow, top, depth), part(grow, bottom, depth))


def _leibniz(grow: Growth, size: int, depth: int) -> Node:
    mark = grow.symbol(("d", "\\partial"))
    top, bottom = grow.divide(size - 7, 2)
    return Fraction(row(mark, grow.factor(top, depth)), row(mark, grow.factor(bottom, depth)))


def _matrix(grow: Growth, size: int, depth: int) -> Node:
    """A column, or as square a grid as there is room for; its separators are tokens too."""
    left, right = grow.rng.choice(("()", "()", "[]", "||") if size >= 11 else ("()", "[]"))
    shapes = [(rows, columns) for rows, columns in ((2, 1), (2, 2), (3, 3)) if 2 * rows * columns + 3 <= size]
    rows, columns = shapes[-1] if grow.happens(0.8) else shapes[0]
    count = rows * columns
    cells = [part(grow, tokens, depth) for tokens in grow.divide(size - 3 - count, count)]
    grid = tuple(tuple(cells[start : start + columns]) for start in range(0, count, columns))
    return Fenced(left, Matrix(grid), right)


FACTORS = (
    Rule(10, 1, 1, letter),
    Rule(0.3, 1, 1, lambda grow, *_: grow.symbol(symbols.CONSTANTS)),
    Rule(0.5, 2, 2, lambda grow, *_: row(grow.symbol("nnkkmpr"), Symbol("!"))),
    Rule(0.6, 2, 4, lambda grow, size, depth: row(grow.symbol(_PREFIXES), grow.factor(size - 1, depth))),
    Rule(1, 2, ANY, lambda grow, size, depth: row(grow.symbol(symbols.FUNCTIONS), _argument(grow, size - 1, depth))),
    Rule(1, 6, ANY, _function_power, nests=True),
    Rule(1.5, 3, ANY, _bracket),
    Rule(0.8, 3, ANY, lambda grow, size, depth: Fenced(symbols.BAR, grow.sum(size - 2, depth), symbols.BAR)),
    Rule(0.4, 3, 6, _set),
    Rule(0.8, 7, ANY, _set),
    Rule(0.7, 5, ANY, _interval),
    Rule(2, 4, ANY, lambda grow, size, depth: row(grow.symbol(_FUNCTION_NAMES), in_brackets(grow, size - 1, depth))),
    Rule(16, 5, ANY, _power, nests=True),
    Rule(8, 5, ANY, lambda grow, size, depth: Scripts(letter(grow), sub=index(grow, size - 4, depth)), nests=True),
    Rule(5, 9, ANY, _indexed_power, nests=True),
    Rule(1.5, 5, 5, _derivative, nests=True),
    Rule(1.5, 8, ANY, _derivative, nests=True),
    Rule(30, 7, ANY, _fraction, nests=True),
    Rule(2.5, 9, 14, _leibniz, nests=True),
    Rule(5, 4, ANY, lambda grow, size, depth: Root(part(grow, size - 3, depth)), nests=True),
    Rule(2.5, 7, ANY, lambda grow, size, depth: Root(part(grow, size - 6, depth), grow.symbol(_DEGREES)), nests=True),
    Rule(4, 7, ANY, _matrix, nests=True),
)

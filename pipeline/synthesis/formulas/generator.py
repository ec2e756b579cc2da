"""The grammar: relations between sums of terms, terms of factors, big operators over terms."""

from collections.abc import Sequence
from functools import partial
from random import Random

from latexify.pipeline.synthesis.formulas import factors, symbols
from latexify.pipeline.synthesis.formulas.expression import Node, Row, Scripts, Symbol, row
from latexify.pipeline.synthesis.formulas.factors import ANY, SETS, VARIABLES, Growth, Rule, index, listing, number

SHORT_SHARE = 0.15
"""Fraction of expressions of one to three tokens, if the limits allow them."""
SHORT_TOKENS = 3


def expression(rng: Random, *, min_tokens: int, max_tokens: int, max_depth: int) -> Node:
    """Generate a plausible expression of `min_tokens` to `max_tokens` tokens, nested at most `max_depth` deep."""
    short = min_tokens <= SHORT_TOKENS and rng.random() < SHORT_SHARE
    low = min_tokens if short else max(min_tokens, min(SHORT_TOKENS + 1, max_tokens))
    high = min(SHORT_TOKENS, max_tokens) if short else max_tokens
    size = rng.randint(low, high)
    if size == 1:
        return Symbol(rng.choice(symbols.ISOLATED))
    return Growth(rng, RULES).node("statement", size, max_depth)


def _relation(grow: Growth, size: int, depth: int, *, signs: Sequence[str] = ()) -> Node:
    left, right = grow.divide(size - 1, 2)
    signs = signs or grow.rng.choices((symbols.EQUALITIES[:1], symbols.EQUALITIES, symbols.ORDERS), (6, 2, 3))[0]
    return row(grow.sum(left, depth), grow.symbol(signs), grow.sum(right, depth))


def _membership(grow: Growth, size: int, depth: int) -> Node:
    element, container = grow.divide(size - 1, 2)
    whole = grow.symbol(SETS) if container == 1 else grow.factor(container, depth)
    return row(grow.factor(element, depth), grow.symbol(symbols.SET_RELATIONS), whole)


def _mapping(grow: Growth, size: int, depth: int) -> Node:
    source, target = (grow.symbol(SETS) if part == 1 else grow.factor(part, depth) for part in grow.divide(size - 3, 2))
    name = grow.symbol(("f", "g", "h", "\\phi", "\\psi", "F", "T"))
    return row(name, Symbol(":"), source, Symbol("\\rightarrow"), target)


def _quantified(grow: Growth, size: int, depth: int) -> Node:
    head = (grow.symbol(symbols.QUANTIFIERS), grow.symbol("xyznk"), Symbol("\\in"), grow.symbol(SETS))
    return row(*head) if size == 4 else row(*head, Symbol(":"), _relation(grow, size - 5, depth))


def _limit(grow: Growth, size: int, depth: int) -> Node:
    body, target = grow.divide(size - 6, 2)
    goals = {"\\infty": 5, "0": 4, "1": 1, "a": 1, "x": 1}
    goal = grow.weighted(goals) if target == 1 else grow.sum(target, depth)
    below = row(grow.symbol("nxtkhy"), Symbol("\\rightarrow"), goal)
    return row(Scripts(Symbol("\\lim"), sub=below), grow.term(body, depth))


def _extremum(grow: Growth, size: int, depth: int) -> Node:
    body, below = grow.divide(size - 4, 2)
    operator = Scripts(grow.symbol(("\\max", "\\min")), sub=index(grow, below, depth))
    return row(operator, grow.term(body, depth))


def _addition(grow: Growth, size: int, depth: int) -> Node:
    left, right = grow.divide(size - 1, 2)
    sign = grow.weighted(dict(zip(symbols.ADDITIONS, (12, 9, 1, 0.7, 0.7), strict=True)))
    more = right >= 3 and grow.happens(0.5)
    return row(grow.term(left, depth), sign, _addition(grow, right, depth) if more else grow.term(right, depth))


def _product(grow: Growth, size: int, depth: int) -> Node:
    """Factors side by side; a number only in front, so that `2` and `3` do not read as `23`."""
    first, second = grow.divide(size, 2)
    coefficient = first == 1 and grow.happens(0.5)
    head = grow.symbol(symbols.DIGITS[2:]) if coefficient else grow.factor(first, depth)
    tail = grow.factor(second, depth)
    # A following factor would read as part of the argument of a function or an integral.
    is_greedy = symbols.ATOMS.get(_first_token(head)) is symbols.Atom.OPERATOR
    return row(tail, head) if is_greedy and _first_token(tail) not in symbols.DIGITS else row(head, tail)


def _first_token(node: Node) -> str:
    """The symbol that a node begins with; empty if it begins with a structure."""
    while isinstance(node, Row | Scripts):
        node = node.items[0] if isinstance(node, Row) else node.base
    return node.token if isinstance(node, Symbol) else ""


def _multiplication(grow: Growth, size: int, depth: int) -> Node:
    left, right = grow.divide(size - 1, 2)
    sign = grow.weighted(dict(zip(symbols.MULTIPLICATIONS, (5, 4, 1, 0.7, 0.7, 2), strict=True)))
    return row(factors.part(grow, left, depth, "factor", 0.5), sign, factors.part(grow, right, depth, "factor", 0.5))


def _indexed_operator(grow: Growth, size: int, depth: int) -> Node:
    below, body = grow.divide(size - 4, 2)
    return row(Scripts(grow.symbol(symbols.BIG_OPERATORS), sub=index(grow, below, depth)), grow.term(body, depth))


def _bounded_operator(grow: Growth, size: int, depth: int) -> Node:
    above, body = grow.divide(size - 10, 2)
    start = row(grow.symbol(factors.INDICES), Symbol("="), grow.symbol("0111i"))
    end = grow.symbol(("n", "n", "N", "m", "\\infty", "k")) if above == 1 else grow.sum(above, depth)
    operator = grow.weighted(dict(zip(symbols.BIG_OPERATORS, (3, 1), strict=True)))
    return row(Scripts(operator, sub=start, sup=end), grow.term(body, depth))


def _region_integral(grow: Growth, size: int, depth: int) -> Node:
    integral = Scripts(grow.symbol(symbols.INTEGRALS), sub=grow.symbol(SETS))
    return row(integral, grow.term(size - 7, depth), *_measure(grow))


def _definite_integral(grow: Growth, size: int, depth: int) -> Node:
    low, high, body = grow.divide(size - 9, 3)
    integral = Scripts(Symbol("\\int"), sub=_bound(grow, low, depth), sup=_bound(grow, high, depth))
    return row(integral, grow.term(body, depth), *_measure(grow))


def _bound(grow: Growth, size: int, depth: int) -> Node:
    bounds = ("0", "0", "1", "a", "b", "\\infty", "\\pi", "t", "x")
    return grow.symbol(bounds) if size == 1 else grow.sum(size, depth)


def _measure(grow: Growth) -> tuple[Symbol, Symbol]:
    return Symbol("d"), grow.symbol((*VARIABLES[:4], "t", "u", "s", "\\theta"))


RULES = {
    "statement": (
        Rule(10, 1, ANY, Growth.sum),
        Rule(9, 3, ANY, _relation),
        Rule(0.8, 3, 9, _membership),
        Rule(0.6, 3, ANY, partial(_relation, signs=symbols.ARROWS)),
        Rule(0.5, 5, 12, _mapping),
        Rule(0.5, 5, ANY, listing),
        Rule(0.3, 4, 4, _quantified),
        Rule(0.5, 8, ANY, _quantified),
        Rule(1, 8, ANY, _limit, nests=True),
        Rule(0.4, 6, ANY, _extremum, nests=True),
    ),
    "sum": (
        Rule(5, 1, 4, Growth.term),
        Rule(10, 5, 16, Growth.term),
        Rule(1, 2, 12, lambda grow, size, depth: row(grow.weighted({"-": 6, "\\pm": 1}), grow.term(size - 1, depth))),
        Rule(6, 3, ANY, _addition),
        Rule(0.3, 5, ANY, partial(listing, kind="term", marks=("+", "\\cdots", "+"))),
    ),
    "term": (
        Rule(5, 1, 1, Growth.factor),
        Rule(2, 2, 2, Growth.factor),
        Rule(9, 3, ANY, Growth.factor),
        Rule(1.2, 1, 3, number),
        Rule(4, 2, ANY, _product),
        Rule(1, 3, ANY, _multiplication),
        Rule(0.1, 2, 4, lambda grow, size, depth: row(grow.symbol(symbols.BIG_OPERATORS), grow.term(size - 1, depth))),
        Rule(1, 6, ANY, _indexed_operator, nests=True),
        Rule(6, 12, ANY, _bounded_operator, nests=True),
        Rule(0.6, 4, ANY, lambda grow, size, depth: row(Symbol("\\int"), grow.term(size - 3, depth), *_measure(grow))),
        Rule(0.5, 8, ANY, _region_integral, nests=True),
        Rule(5, 12, ANY, _definite_integral, nests=True),
    ),
    "factor": factors.FACTORS,
}
"""Every kind of node has a rule for every size, at any depth."""

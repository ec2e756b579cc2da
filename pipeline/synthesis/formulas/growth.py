"""How expressions grow: every rule is asked for a node of exactly `size` tokens and divides them among its parts.

So a label's length is right by construction. A rule that nests is offered only while depth is left; flat rules and
brackets are always there to fill what remains.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from latexify.pipeline.synthesis.formulas.expression import Node, Symbol

ANY = 10_000
"""No upper limit on a rule's tokens."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to write something: usable from `least` to `most` tokens, as often as `weight` says among its like.

    build(grow, size, depth): a node of exactly `size` tokens; `depth` is the depth left for its parts.
    nests: whether the rule takes one level of depth itself.
    """

    weight: float
    least: int
    most: int
    build: "Callable[[Growth, int, int], Node]"
    nests: bool = False


class Growth:
    """The random choices of one expression. `rules`: for every kind of node, the ways to write it."""

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
        """What stands in a product, numbers left out."""
        return self.node("factor", size, depth)

    def symbol(self, choices: Sequence[str]) -> Symbol:
        """One of these terminals, all equally likely."""
        return Symbol(self.rng.choice(choices))

    def weighted(self, choices: Mapping[str, float]) -> Symbol:
        """One of these terminals, as often as its weight says."""
        return Symbol(self.rng.choices(list(choices), list(choices.values()))[0])

    def happens(self, probability: float) -> bool:
        """Whether something happens that does so with this probability."""
        return self.rng.random() < probability

    def divide(self, size: int, parts: int) -> list[int]:
        """Divide `size` tokens among so many parts, each at least one."""
        spare = size - parts
        cuts = sorted(self.rng.randint(0, spare) for _ in range(parts - 1))
        return [1 + high - low for low, high in pairwise([0, *cuts, spare])]

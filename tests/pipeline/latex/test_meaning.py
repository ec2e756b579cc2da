"""The normalizer on random trees: all spellings of a tree become one text, and two trees never share one."""

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from latexify.pipeline.latex import normalize

# A tree is a tuple (kind, …); a list of trees is a row of the formula.
Tree = tuple[Any, ...]
Row = tuple[Tree, ...]

SYNONYMS = {
    r"\le": [r"\leq", r"\le"],
    r"\rightarrow": [r"\to", r"\rightarrow"],
    r"\dots": [r"\ldots", r"\dots"],
    "<": [r"\lt", "<", "&lt;"],
    "n": ["n", r"\mbox{n}", r"\mathrm{n}", r"{\rm n}", r"\text{ n }"],
}
SIGNS = ["a", "b", "n", "1", "2", "+", "<", r"\alpha", r"\le", r"\rightarrow", r"\dots", r"\sin", r"\$"]
SMALL = [("sign", "a"), ("sign", "1"), ("sign", r"\alpha")]
SPACES = ["", "", " ", r"\,", r"\quad ", "~"]


def rows(nodes: st.SearchStrategy[Tree], *, min_size: int) -> st.SearchStrategy[Row]:
    """Rows of at least `min_size` trees."""
    return st.lists(nodes, min_size=min_size, max_size=3).map(tuple)


def nodes_over(nodes: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    """Trees that have some of `nodes` inside."""
    row = rows(nodes, min_size=1)
    base = nodes.filter(lambda node: node[0] != "script")
    groups = rows(nodes, min_size=2).map(lambda inner: ("group", inner))
    scripts = st.tuples(st.just("script"), base | groups, st.none() | row, st.none() | row | st.integers(1, 3))
    cells = st.lists(st.tuples(row, row), min_size=1, max_size=2).map(tuple)
    return st.one_of(
        st.tuples(st.just("fraction"), row, row),
        st.tuples(st.just("root"), st.none() | row, row),
        st.tuples(st.just("accent"), st.sampled_from([r"\hat", r"\mathbf", r"\overline"]), row),
        st.tuples(st.just("fence"), row),
        st.tuples(st.just("matrix"), st.sampled_from(["", "[]", "||"]), cells),
        scripts.filter(lambda node: node[2] is not None or node[3] is not None),
    )


TREES = rows(st.recursive(st.sampled_from([("sign", sign) for sign in SIGNS]), nodes_over, max_leaves=8), min_size=1)


class Writer:
    """Spells a tree, choosing between equal spellings by chance."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def choose(self, options: list[str]) -> str:
        return self.random.choice(options)

    def row(self, row: Row) -> str:
        text = "".join(self.choose(SPACES) + self.node(node) for node in row)
        return text + self.choose(SPACES)

    def argument(self, row: Row) -> str:
        inner = self.row(row)
        options = ["{" + inner + "}", " { {" + inner + "} }"]
        if len(row) == 1 and row[0][0] == "sign" and row[0][1] not in SYNONYMS:
            options.append(" " + row[0][1] + " ")
        return self.choose(options)

    def node(self, node: Tree) -> str:
        text = str(getattr(self, node[0])(*node[1:]))
        # braces around one unit are redundant
        return self.choose([text, text, "{" + text + "}"])

    def sign(self, sign: str) -> str:
        return self.choose(SYNONYMS.get(sign, [sign])) + " "

    def group(self, inner: Row) -> str:
        return "{" + self.row(inner) + "}"

    def fraction(self, above: Row, below: Row) -> str:
        if self.random.random() < 0.5:
            return "{" + self.row(above) + r"\over " + self.row(below) + "}"
        return self.choose([r"\frac", r"\dfrac", r"\tfrac"]) + self.argument(above) + self.argument(below)

    def root(self, degree: Row | None, inner: Row) -> str:
        return r"\sqrt" + ("" if degree is None else "[{" + self.row(degree) + "}]") + self.argument(inner)

    def accent(self, command: str, inner: Row) -> str:
        return command + self.argument(inner)

    def fence(self, inner: Row) -> str:
        left, right = self.random.choice([("(", ")"), (r"\left(", r"\right)"), (r"\bigl(", r"\bigr)")])
        return left + self.row(inner) + right

    def matrix(self, fence: str, cells: tuple[tuple[Row, Row], ...]) -> str:
        body = r"\\".join(self.row(left) + "&" + self.row(right) for left, right in cells)
        name = {"": "matrix", "[]": "bmatrix", "||": "vmatrix"}[fence]
        named = rf"\begin{{{name}}}{body}\end{{{name}}}"
        left, right = (rf"\left{fence[0]}", rf"\right{fence[1]}") if fence else ("", "")
        return self.choose([named, rf"{left}\begin{{array}}{{cc}}{body}\\\end{{array}}{right}"])

    def script(self, base: Tree, lower: Row | None, upper: Row | int | None) -> str:
        parts = []
        if lower is not None:
            parts.append("_" + self.argument(lower))
        if isinstance(upper, int):
            primes = [r"^{" + r"\prime" * upper + "}", "'" * upper, "^{" + "'" * upper + "}"]
            parts.append(self.choose(primes))
        elif upper is not None:
            parts.append("^" + self.argument(upper))
        return self.node(base) + "".join(self.random.sample(parts, len(parts)))


@settings(max_examples=250, deadline=None)
@given(TREES, st.integers(0), st.integers(0))
def test_any_spelling_of_a_formula_is_the_same(tree: Row, seed: int, other_seed: int) -> None:
    """A spelling must not count as an error of the model."""
    one, other = Writer(seed).row(tree), Writer(other_seed).row(tree)
    assert normalize(one) == normalize(other)
    assert normalize(f"$ {one} $") == normalize(other)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(rows(st.recursive(st.sampled_from(SMALL), nodes_over, max_leaves=4), min_size=1), max_size=12),
    st.integers(0),
)
def test_two_formulas_never_share_a_text(trees: list[Row], seed: int) -> None:
    """A prediction of another formula would count as correct."""
    seen: dict[str, Row] = {}
    for tree in trees:
        text = normalize(Writer(seed).row(tree))
        assert seen.setdefault(text, tree) == tree

"""Structures of a formula (fractions, roots, deep scripts …), found from its tokens."""

from collections.abc import Iterable, Sequence

from latexify.pipeline.latex import tokenize
from latexify.pipeline.latex.tables import command_names

FRACTIONS = command_names("frac dfrac tfrac cfrac over binom")
ROOTS = command_names("sqrt root")
BIG_OPERATORS = command_names("""
    sum prod coprod int iint iiint oint bigcup bigcap bigsqcup bigvee bigwedge bigodot bigotimes bigoplus biguplus
    lim limsup liminf
""")
ACCENTS = command_names("""
    hat widehat check breve tilde widetilde acute grave dot ddot dddot bar vec mathring overline underline
    overrightarrow overleftarrow overbrace underbrace
""")
SCRIPTS = frozenset("_^")
DEEPEST = 3  # depths of scripts from this one on form one class

STRUCTURES = (
    "fraction",
    "root",
    "matrix",
    "big operator",
    "accent",
    *(f"scripts {depth} deep" for depth in range(DEEPEST)),
    f"scripts {DEEPEST} or more deep",
)
"""Names that :func:`structures` returns, in display order. A formula has exactly one depth, and any of the others."""


def structures(latex: str) -> set[str]:
    r"""Return which of STRUCTURES a formula has; accepts any text.

    Big operators are those that take limits, `\lim` included. Every environment counts as a matrix, including cases and
    aligned lines.
    """
    tokens = symbols_of(latex)
    depth = script_depth(tokens)
    kinds = {"fraction": FRACTIONS, "root": ROOTS, "big operator": BIG_OPERATORS, "accent": ACCENTS}
    present = {name for name, commands in kinds.items() if not commands.isdisjoint(tokens)}
    if any(token.startswith("\\begin{") for token in tokens):
        present.add("matrix")
    present.add(f"scripts {depth} deep" if depth < DEEPEST else f"scripts {DEEPEST} or more deep")
    return present


def symbols_of(latex: str) -> list[str]:
    """Return the tokens of a formula without spaces."""
    return [token for token in tokenize(latex) if not token.isspace()]


def script_depth(tokens: Sequence[str]) -> int:
    """Measure how deep scripts nest: 0 for `ab`, 1 for `a_b^c`, 2 for `a^{b_c}`. A prime does not count as a script."""
    open_braces: list[bool] = []  # for each open brace: whether it encloses a script
    deepest, depth, is_script = 0, 0, False
    for token in tokens:
        if token in SCRIPTS:
            is_script = True
            deepest = max(deepest, depth + 1)
            continue
        if token == "{":
            open_braces.append(is_script)
            depth += is_script
        elif token == "}" and open_braces:
            depth -= open_braces.pop()
        is_script = False
    return deepest


def num_lines(latex: str) -> int:
    r"""Count the lines of a formula: the most rows, divided by ``\\``, of one environment, group or the whole."""
    rows, most = [1], 1
    for token in tokenize(latex):
        if token == "{" or token.startswith("\\begin{"):
            rows.append(1)
        elif (token == "}" or token.startswith("\\end{")) and len(rows) > 1:
            rows.pop()
        elif token == "\\\\":
            rows[-1] += 1
            most = max(most, rows[-1])
    return most


def structures_of_each(references: Iterable[str]) -> list[set[str]]:
    """Return the structures of each formula; repeated formulas are analysed once."""
    cache: dict[str, set[str]] = {}
    return [cache[latex] if latex in cache else cache.setdefault(latex, structures(latex)) for latex in references]

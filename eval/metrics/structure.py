"""What a formula is built of, read from its tokens: for scores of fractions, of roots, of deep scripts and so on."""

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
DEEPEST = 3
"""Script depths from this one on are one class."""

STRUCTURES = (
    "fraction",
    "root",
    "matrix",
    "big operator",
    "accent",
    *(f"scripts {depth} deep" for depth in range(DEEPEST)),
    f"scripts {DEEPEST} or more deep",
)
"""Names of :func:`structures`, in the order to show them. A formula has one depth, and any of the others."""


def structures(latex: str) -> set[str]:
    r"""Which of STRUCTURES a formula has. Any text has an answer.

    A big operator is one that takes limits, `\lim` among them. A matrix is any environment, cases and aligned lines
    too.
    """
    tokens = [token for token in tokenize(latex) if not token.isspace()]
    depth = script_depth(tokens)
    kinds = {"fraction": FRACTIONS, "root": ROOTS, "big operator": BIG_OPERATORS, "accent": ACCENTS}
    found = {name for name, commands in kinds.items() if not commands.isdisjoint(tokens)}
    if any(token.startswith("\\begin{") for token in tokens):
        found.add("matrix")
    found.add(f"scripts {depth} deep" if depth < DEEPEST else f"scripts {DEEPEST} or more deep")
    return found


def script_depth(tokens: Sequence[str]) -> int:
    """How deep scripts nest: 0 for `ab`, 1 for `a_b^c`, 2 for `a^{b_c}`. A prime is no script of its own."""
    open_braces: list[bool] = []  # of each open brace, whether it holds a script
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


def table_of(references: Iterable[str]) -> list[set[str]]:
    """The structures of each formula; those that repeat are read once."""
    known: dict[str, set[str]] = {}
    found = []
    for latex in references:
        if latex not in known:
            known[latex] = structures(latex)
        found.append(known[latex])
    return found

"""Expression trees: made by the grammar or from a label, spelled as a label, and typeset."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from latexify.pipeline.latex import join_tokens


@dataclass(frozen=True, slots=True)
class Symbol:
    r"""One terminal: a LaTeX token with a glyph of its own, or the name of a function such as ``\sin``."""

    token: str


@dataclass(frozen=True, slots=True)
class Row:
    """Nodes side by side on one baseline; never empty and never directly inside another row (see `row`)."""

    items: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Scripts:
    """A base with a subscript, a superscript or both; the limits of a big operator are its scripts."""

    base: "Node"
    sub: "Node | None" = None
    sup: "Node | None" = None


@dataclass(frozen=True, slots=True)
class Fraction:
    """A numerator over a denominator."""

    numerator: "Node"
    denominator: "Node"


@dataclass(frozen=True, slots=True)
class Root:
    """A radical over its radicand; with an index unless it is a square root."""

    radicand: "Node"
    index: "Node | None" = None


@dataclass(frozen=True, slots=True)
class Fenced:
    """A body between two delimiters that grow with it."""

    left: str
    body: "Node"
    right: str


@dataclass(frozen=True, slots=True)
class Matrix:
    """A grid of cells, in rows of equal length; its delimiters are a `Fenced` around it."""

    rows: "tuple[tuple[Node, ...], ...]"


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines one under another: `aligned` at the relation that begins the second cell, `gathered`, or `cases`."""

    environment: str
    rows: "tuple[tuple[Node | None, ...], ...]"  # None for a cell without content


Node = Symbol | Row | Scripts | Fraction | Root | Fenced | Matrix | Lines


def row(*parts: Node) -> Node:
    """Put nodes side by side; nested rows are flattened, and a single node stays as it is."""
    items: list[Node] = []
    for part in parts:
        items.extend(part.items if isinstance(part, Row) else (part,))
    return items[0] if len(items) == 1 else Row(tuple(items))


def token_of(node: Node) -> str:
    """The token of a symbol, with or without scripts; empty for other nodes."""
    base = node.base if isinstance(node, Scripts) else node
    return base.token if isinstance(base, Symbol) else ""


def rebuilt(node: Node, change: Callable[[Node], Node]) -> Node:  # noqa: PLR0911 (one for each kind of node)
    """The node with each of its children changed, in the order of the fields; a symbol stays."""
    match node:
        case Symbol():
            return node
        case Row(items):
            return row(*map(change, items))
        case Scripts(base, sub, sup):
            return Scripts(change(base), sub and change(sub), sup and change(sup))
        case Fraction(numerator, denominator):
            return Fraction(change(numerator), change(denominator))
        case Root(radicand, index):
            return Root(change(radicand), index and change(index))
        case Fenced(left, body, right):
            return Fenced(left, change(body), right)
        case Matrix(rows):
            return Matrix(tuple(tuple(map(change, cells)) for cells in rows))
        case Lines(environment, rows):
            return Lines(environment, tuple(tuple(cell and change(cell) for cell in cells) for cells in rows))


def tokens(node: Node) -> list[str]:  # noqa: PLR0911 (one for each kind of node)
    """The LaTeX tokens of a tree, in the order of the normaliser: scripts braced, subscript first."""
    match node:
        case Symbol(token):
            return [token]
        case Row(items):
            return [token for item in items for token in tokens(item)]
        case Scripts(base, sub, sup):
            scripts = [(mark, script) for mark, script in (("_", sub), ("^", sup)) if script is not None]
            return [*tokens(base), *(token for mark, script in scripts for token in (mark, *_braced(script)))]
        case Fraction(numerator, denominator):
            return ["\\frac", *_braced(numerator), *_braced(denominator)]
        case Root(radicand, index):
            return ["\\sqrt", *(["[", *tokens(index), "]"] if index is not None else []), *_braced(radicand)]
        case Fenced(left, body, right):
            return [left, *tokens(body), right]
        case Matrix(rows):
            return _grid("matrix", rows)
        case Lines(environment, rows):
            return _grid(environment, rows)


def label(node: Node) -> str:
    """The LaTeX of a tree, in the normaliser's compact form."""
    return join_tokens(tokens(node))


def _grid(environment: str, rows: Sequence[Sequence[Node | None]]) -> list[str]:
    spelled = [[token for cell in cells for token in ("&", *(tokens(cell) if cell else ()))][1:] for cells in rows]
    grid = [token for cells in spelled for token in ("\\\\", *cells)][1:]
    return [f"\\begin{{{environment}}}", *grid, f"\\end{{{environment}}}"]


def _braced(node: Node) -> list[str]:
    return ["{", *tokens(node), "}"]

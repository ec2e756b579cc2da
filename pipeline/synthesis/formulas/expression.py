"""Expression trees: what the grammar grows, the layout sets, and the label spells."""

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
    """Numerator over denominator."""

    numerator: "Node"
    denominator: "Node"


@dataclass(frozen=True, slots=True)
class Root:
    """A radical over its radicand, with an index where it is not the square root."""

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


Node = Symbol | Row | Scripts | Fraction | Root | Fenced | Matrix


def row(*parts: Node) -> Node:
    """Put nodes side by side: rows among them are dissolved, and a single node stays as it is."""
    items: list[Node] = []
    for part in parts:
        items.extend(part.items if isinstance(part, Row) else (part,))
    return items[0] if len(items) == 1 else Row(tuple(items))


def tokens(node: Node) -> list[str]:  # noqa: PLR0911 (one for each kind of node)
    """The LaTeX tokens of a tree, as the normaliser orders them: scripts braced, subscript first."""
    match node:
        case Symbol(token):
            return [token]
        case Row(items):
            return [token for item in items for token in tokens(item)]
        case Scripts(base, sub, sup):
            return [*tokens(base), *_script("_", sub), *_script("^", sup)]
        case Fraction(numerator, denominator):
            return ["\\frac", *_braced(numerator), *_braced(denominator)]
        case Root(radicand, index):
            return ["\\sqrt", *(["[", *tokens(index), "]"] if index is not None else []), *_braced(radicand)]
        case Fenced(left, body, right):
            return [left, *tokens(body), right]
        case Matrix(rows):
            return ["\\begin{matrix}", *_grid(rows), "\\end{matrix}"]


def label(node: Node) -> str:
    """The LaTeX of a tree, in the normaliser's compact form."""
    return join_tokens(tokens(node))


def _braced(node: Node) -> list[str]:
    return ["{", *tokens(node), "}"]


def _script(mark: str, node: Node | None) -> list[str]:
    return [] if node is None else [mark, *_braced(node)]


def _grid(rows: tuple[tuple[Node, ...], ...]) -> list[str]:
    spelled: list[str] = []
    for row_number, cells in enumerate(rows):
        if row_number:
            spelled.append("\\\\")
        for column, cell in enumerate(cells):
            if column:
                spelled.append("&")
            spelled.extend(tokens(cell))
    return spelled

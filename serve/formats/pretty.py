r"""LaTeX for people: delimiters that grow, spaces around relations, ``x'`` for ``x^{\prime}``.

Normalised, it is the formula that it was made of.
"""

from collections.abc import Sequence

from latexify.common.errors import LatexifyError
from latexify.pipeline.latex import normalize, tables
from latexify.pipeline.latex.tree import Command, Environment, Group, Item, Items, Scripted, Verbatim
from latexify.serve.formats.layout import (
    BIG_OPERATORS,
    INTEGRALS,
    cells_of,
    fences_of,
    is_one_of,
    is_tall,
    sign_of,
    tree_of,
)

_NAMES = {"\\rightarrow": "\\to", "\\le": "\\leq", "\\ge": "\\geq", "\\ne": "\\neq"}
"""Commands that people know better by another name."""
_RELATIONS = frozenset("=<>") | tables.command_names("""
    le ge ne ll gg leqslant geqslant leqq geqq equiv sim simeq approx cong doteq propto models perp mid parallel
    prec succ preceq succeq subset supset subseteq supseteq subsetneq supsetneq in ni notin vdash lesssim gtrsim
    rightarrow leftarrow leftrightarrow Rightarrow Leftarrow Leftrightarrow Longleftrightarrow Longrightarrow
    longrightarrow longleftarrow mapsto hookrightarrow rightleftharpoons
""")
_BINARY = frozenset("+-") | tables.command_names("""
    pm mp times div cdot star circ bullet cap cup uplus sqcap sqcup vee wedge setminus oplus ominus otimes odot
""")
_MATRICES = {("(", ")"): "pmatrix", ("[", "]"): "bmatrix", ("|", "|"): "vmatrix", ("\\|", "\\|"): "Vmatrix"}
_MATRICES[("\\{", "\\}")] = "Bmatrix"
_GAP = " "


def to_pretty(latex: str) -> str:
    """Write a formula for people. One that is not whole, or would not be the same formula, is returned as it is."""
    try:
        pretty = write_pretty(tree_of(latex))
    except LatexifyError:
        return latex
    return pretty if normalize(pretty) == latex else latex


def write_pretty(items: Items) -> str:
    """Write the tree of a whole formula for people."""
    return _joined(_list(items, is_spaced=True))


def _joined(parts: Sequence[str]) -> str:
    """Join parts; a space between a command word and a letter, and where there is a gap, never two."""
    text = ""
    for part in parts:
        if part == _GAP:
            text += "" if not text or text[-1] in " {" else part
        elif part:
            after_word = text and part[0].isalpha() and text[-1].isalpha() and _ends_with_word(text)
            text += _GAP + part if after_word else part
    return text.rstrip(_GAP) if not text.endswith("\\ ") else text


def _ends_with_word(text: str) -> bool:
    return text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ").endswith("\\")


def _list(items: Items, *, is_spaced: bool) -> list[str]:
    """Write a list of cells."""
    parts: list[str] = []
    for cell, separator in cells_of(items):
        if parts and parts[-2] == "\\\\" and cell and is_one_of(cell[0], "[*"):
            parts.append("{}")  # it would be an option of the row's end
        written = _cell(cell, is_spaced=is_spaced)
        if parts and parts[-2] == "&" and written[:1] == [_GAP]:  # `&=` is how people write it
            del parts[-1], written[0]
        parts += written
        parts += [_GAP, separator, _GAP] if separator else []
    return parts


def _cell(items: Items, *, is_spaced: bool) -> list[str]:
    opened, closed, matrices = _growing(items)
    parts: list[str] = []
    has_integral = False
    for index, item in enumerate(items):
        if index in matrices:
            continue
        sign = sign_of(item)
        if is_spaced and has_integral and _is_differential(items, index):
            parts.append("\\,")
        if index in opened:
            parts += [*opened[index], _GAP]
        elif index in closed:
            parts += [_GAP, *_closing(item, closed[index])]
        elif is_spaced and isinstance(item, str) and (item in _RELATIONS or _is_binary(items, index)):
            parts += [_GAP, _NAMES.get(item, item), _GAP]
        else:
            parts += _item(item)
        if is_spaced and (is_one_of(item, ",;") or (isinstance(item, Scripted) and sign in BIG_OPERATORS)):
            parts.append(_GAP)
        has_integral = has_integral or sign in INTEGRALS
    return parts


def _growing(items: Items) -> tuple[dict[int, list[str]], dict[int, list[str]], set[int]]:
    """Find the delimiters that are written otherwise: what opens, what closes, and items that are written with them."""
    opened: dict[int, list[str]] = {}
    closed: dict[int, list[str]] = {}
    matrices: set[int] = set()
    for fence in fences_of(items):
        inside = items[fence.begin + 1 : fence.end]
        left, right = str(items[fence.begin]), str(sign_of(items[fence.end]))
        name = _MATRICES.get((left, right))
        if name and len(inside) == 1 and isinstance(inside[0], Environment) and inside[0].name == "matrix":
            opened[fence.begin] = _environment(name, inside[0])[:-1]
            closed[fence.end] = [f"\\end{{{name}}}"]
            matrices.add(fence.begin + 1)
        elif is_tall(inside):
            opened[fence.begin] = [f"\\left{left}"]
            closed[fence.end] = [f"\\right{right}"]
    paired = {index for fence in fences_of(items) for index in (fence.begin, fence.end)}
    for index, item in enumerate(items[:-1]):  # a system of equations: a brace without partner
        if item == "\\{" and index not in paired and isinstance(items[index + 1], Environment):
            opened[index] = ["\\left\\{"]
            matrices.add(index + 1)
            opened[index] += [*_item(items[index + 1]), "\\right."]
    return opened, closed, matrices


def _closing(item: Item, parts: list[str]) -> list[str]:
    return [*parts, *(_scripts(item) if isinstance(item, Scripted) else [])]


def _is_binary(items: Items, index: int) -> bool:
    """Return whether a sign stands between two operands; ``-`` in front of the first is not."""
    if not is_one_of(items[index], _BINARY) or index == 0 or index == len(items) - 1:
        return False
    return not is_one_of(items[index - 1], _NO_OPERAND)


def _is_differential(items: Items, index: int) -> bool:
    """Return whether ``d`` and a variable stand here behind an integrand."""
    if items[index] != "d" or index == 0 or index == len(items) - 1:
        return False
    before, variable = items[index - 1], sign_of(items[index + 1])
    is_variable = variable is not None and (variable.isalpha() or variable in _GREEK) and variable != "d"
    return is_variable and sign_of(before) not in INTEGRALS and not is_one_of(before, _NO_OPERAND)


_GREEK = tables.command_names("alpha beta gamma theta lambda mu nu xi rho sigma tau phi varphi chi psi omega")
_ONE_CHARACTER = (
    frozenset("+-*")
    | _GREEK
    | tables.command_names("infty circ dagger star perp top pm mp ell delta epsilon eta kappa pi")
)
"""Scripts without braces. TeX makes several characters of other commands, and would raise the first only."""
_NO_OPERAND = _RELATIONS | _BINARY | tables.OPENING | frozenset(",;:/")


def _item(item: Item) -> list[str]:
    if isinstance(item, str):
        return [_NAMES.get(item, item)]
    if isinstance(item, Scripted):
        base = ["{}"] if item.base is None else _item(item.base)
        return [*base, *_scripts(item)]
    if isinstance(item, Command):
        return _command(item)
    if isinstance(item, Group):
        return ["{", *_list(item.items, is_spaced=True), "}"]
    if isinstance(item, Verbatim):
        return list(item.tokens)
    return _environment(item.name, item)


def _scripts(item: Scripted) -> list[str]:
    parts: list[str] = []
    for mark, content in item.scripts:
        rest = list(content or [])
        while mark == "^" and rest and rest[0] == "\\prime":
            parts.append("'")
            del rest[0]
        if rest:
            parts += [mark, *_script(rest)]
    return parts


def _script(content: Items) -> list[str]:
    only = content[0]
    if len(content) == 1 and isinstance(only, str):
        if (only.isalnum() and only.isascii()) or only in _ONE_CHARACTER:
            return [_NAMES.get(only, only)]
    elif len(content) == 1 and isinstance(only, Environment) and only.name == "matrix" and "&" not in only.items:
        return ["{\\substack{", *_list(only.items, is_spaced=False), "}}"]
    return ["{", *_list(content, is_spaced=False), "}"]


def _command(item: Command) -> list[str]:
    is_word = item.name in tables.TEXT_COMMANDS or "math" in item.name
    parts = [item.name]
    if item.optional:
        inner = _list(item.optional, is_spaced=False)
        parts += ["[{", *inner, "}]"] if "]" in "".join(inner) else ["[", *inner, "]"]
    for argument in item.arguments:
        if len(argument) == 1 and isinstance(verbatim := argument[0], Verbatim):
            text = "".join(verbatim.tokens)
            parts += ["{", text if "\\" in text else text.replace("~", " "), "}"]
        else:
            parts += ["{", *_list(argument, is_spaced=not is_word), "}"]
    return parts


def _environment(name: str, item: Environment) -> list[str]:
    begin = f"\\begin{{{name}}}{''.join(item.specification)}"
    guard = ["{}"] if name in tables.OPTION_ENVIRONMENTS and item.items[:1] == ["["] else []
    return [begin, *guard, _GAP, *_list(item.items, is_spaced=True), _GAP, f"\\end{{{name}}}"]

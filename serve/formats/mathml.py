"""MathML of a formula, from its tree."""

import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from itertools import cycle, islice, pairwise

from latexify.common.errors import LatexifyError
from latexify.pipeline.latex import tables
from latexify.pipeline.latex.pasted import SIGNS
from latexify.pipeline.latex.tree import Command, Environment, Group, Item, Items, Scripted, Verbatim
from latexify.serve.formats.layout import (
    BARS,
    BIG_OPERATORS,
    INTEGRALS,
    Fence,
    crossed,
    fences_of,
    is_tall,
    number_at,
    rows_of,
    sign_of,
    text_of,
    tree_of,
)
from latexify.serve.formats.mathml_names import (
    ACCENTS,
    ARROWS,
    BELOW,
    DELIMITERS,
    FONTS,
    IDENTIFIERS,
    MORE_SIGNS,
    STRIKES,
    TEXT_VARIANTS,
    styled,
)

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
_PRIMES = ["", "\N{PRIME}", "\N{DOUBLE PRIME}", "\N{TRIPLE PRIME}", "\N{QUADRUPLE PRIME}"]
_LIMITS = (BIG_OPERATORS - INTEGRALS) | tables.command_names("lim max min sup inf limsup liminf gcd det Pr")
"""Operators with their scripts below and above."""
_SIGNS = SIGNS | MORE_SIGNS


def to_mathml(latex: str) -> str:
    """Write a formula in the normal form as a ``<math>`` element on one line, displayed as a block.

    Raises LatexifyError if the formula is not whole, or holds something for which no MathML is known.
    """
    items = tree_of(latex)
    has_rows = any(isinstance(item, str) and item in {"&", "\\\\"} for item in items)
    root = _element("math", [_aligned(items)] if has_rows else _row(items), xmlns=NAMESPACE, display="block")
    return ET.tostring(root, encoding="unicode")


def _element(tag: str, inside: Sequence[ET.Element] | str = (), **attributes: str) -> ET.Element:
    element = ET.Element(tag, attributes)
    if isinstance(inside, str):
        element.text = inside
    else:
        element.extend(inside)
    return element


def _one(elements: Sequence[ET.Element]) -> ET.Element:
    """Return the one element, or a row of them."""
    return elements[0] if len(elements) == 1 else _element("mrow", elements)


def _inside(items: Items) -> ET.Element:
    """Write what stands inside something, as one element."""
    if any(isinstance(item, str) and item in {"&", "\\\\"} for item in items):
        return _table(items)
    return _one(_row(items))


def _row(items: Items) -> list[ET.Element]:
    """Write items without separators among them."""
    fences = {fence.begin: fence for fence in fences_of(items)}
    elements: list[ET.Element] = []
    index = 0
    while index < len(items):
        item = items[index]
        following = items[index + 1] if index + 1 < len(items) else None
        if fence := fences.get(index):
            elements.append(_fenced(items, fence))
            index = fence.end + 1
            continue
        if number := number_at(items, index):
            index += len(number) - 1  # scripts belong to the last digit, which is not part of `number`
            elements.append(_element("mn", number))
        elif item == "\\{" and isinstance(following, Environment):
            elements.append(_one([_delimiter("\\{", is_tall=True, form="prefix"), _item(following)]))
            index += 1
        else:
            elements.append(_item(item))
            if sign_of(item) in tables.OPERATORS and following is not None and sign_of(following) not in tables.OPENING:
                elements.append(_element("mspace", width="0.1667em"))
        index += 1
    return elements


def _fenced(items: Items, fence: Fence) -> ET.Element:
    """Write delimiters and what is between them as one row, with the scripts of the closing one."""
    inside, closing = items[fence.begin + 1 : fence.end], items[fence.end]
    grows = is_tall(inside)
    left = _delimiter(str(items[fence.begin]), is_tall=grows, form="prefix")
    right = _delimiter(str(sign_of(closing)), is_tall=grows, form="postfix")
    row = _element("mrow", [left, *_row(inside), right])
    return _with_scripts(row, closing, has_limits=False) if isinstance(closing, Scripted) else row


def _delimiter(sign: str, *, is_tall: bool, form: str = "") -> ET.Element:
    attributes = {"stretchy": "true" if is_tall else "false"}
    if form:
        attributes |= {"form": form, "fence": "true"}
    elif sign in BARS:  # a bar by itself is no fence, and has no space around it
        attributes |= {"lspace": "0", "rspace": "0"}
    return _element("mo", DELIMITERS.get(sign) or _SIGNS.get(sign, sign), **attributes)


def _item(item: Item) -> ET.Element:
    if isinstance(item, str):
        return _sign(item)
    if isinstance(item, Scripted):
        return _scripted(item)
    if isinstance(item, Command):
        return _command(item)
    if isinstance(item, Group):
        return _inside(item.items)
    if isinstance(item, Verbatim):
        return _element("mtext", text_of(item.tokens, target="MathML"))
    return _environment(item)


def _sign(token: str) -> ET.Element:
    if token in tables.OPERATORS:
        return _element("mi", token[1:])
    if token in tables.OPENING | tables.CLOSING or token in BARS:
        return _delimiter(token, is_tall=False)
    sign = _SIGNS.get(token, token)
    if token == "\\prime":
        return _element("mo", sign, lspace="0", rspace="0")
    if len(sign) > 1 and sign not in MORE_SIGNS.values():
        raise LatexifyError(f"MathML cannot be made of {token}: no sign is known for it")
    if "0" <= sign <= "9":
        return _element("mn", sign)
    return _element("mi" if sign.isalpha() or token in IDENTIFIERS else "mo", sign)


def _scripted(item: Scripted) -> ET.Element:
    base = _element("mrow") if item.base is None else _item(item.base)
    is_brace = isinstance(item.base, Command) and item.base.name in {"\\overbrace", "\\underbrace"}
    return _with_scripts(base, item, has_limits=is_brace or sign_of(item) in _LIMITS)


def _with_scripts(base: ET.Element, item: Scripted, *, has_limits: bool) -> ET.Element:
    scripts = {mark: _script(content or []) for mark, content in item.scripts}
    if len(scripts) < len(item.scripts):
        raise LatexifyError("MathML cannot be made of two scripts of one kind at one base")
    tags = ("munder", "mover", "munderover") if has_limits else ("msub", "msup", "msubsup")
    tag = tags[2] if len(scripts) == 2 else tags[0] if "_" in scripts else tags[1]
    return _element(tag, [base, *(scripts[mark] for mark in "_^" if mark in scripts)])


def _script(content: Items) -> ET.Element:
    """Write a script, with the primes at its front as one sign."""
    num_primes = next((index for index, item in enumerate(content) if item != "\\prime"), len(content))
    primes = _PRIMES[num_primes] if num_primes < len(_PRIMES) else _PRIMES[1] * num_primes
    return _one([*([_element("mo", primes)] if primes else []), *_row_or_table(content[num_primes:])])


def _row_or_table(items: Items) -> list[ET.Element]:
    element = _inside(items)
    return list(element) if element.tag == "mrow" and not element.attrib else [element]


def _command(item: Command) -> ET.Element:
    name, arguments = item.name, item.arguments
    if name in _BUILDERS:
        return _BUILDERS[name](item)
    if name in ACCENTS:
        tag = "munder" if name in BELOW else "mover"
        return _element(tag, [_inside(arguments[0]), _element("mo", ACCENTS[name])], accent="true")
    if name in FONTS or name in {"\\mathrm", "\\mathit"}:
        return _in_font(name, arguments[0])
    if name in tables.TEXT_COMMANDS:
        only = arguments[0][0] if len(arguments[0]) == 1 else None
        text = only.tokens if isinstance(only, Verbatim) else [str(sign) for sign in arguments[0]]
        variant = {"mathvariant": TEXT_VARIANTS[name]} if name in TEXT_VARIANTS else {}
        return _element("mtext", text_of(text, target="MathML"), **variant)
    if name in STRIKES:
        return _element("menclose", [_inside(arguments[0])], notation=STRIKES[name])
    if name in ARROWS:
        above = [_inside(arguments[0])]
        below = [_inside(item.optional)] if item.optional else []
        return _element("munderover" if below else "mover", [_element("mo", ARROWS[name]), *below, *above])
    raise LatexifyError(f"MathML cannot be made of {name}: it is not known")


def _in_font(name: str, items: Items) -> ET.Element:
    """Write letters in a font: as characters of Unicode's alphabets, or upright."""
    if name == "\\mathrm" and all(isinstance(item, str) and len(item) == 1 and item.isalpha() for item in items):
        return _element("mi", "".join(map(str, items)), **({"mathvariant": "normal"} if len(items) == 1 else {}))
    element = _inside(items)
    for part in element.iter():
        if part.tag in {"mi", "mn"} and len(part.text or "") == 1:
            if name == "\\mathrm":
                part.set("mathvariant", "normal")
            else:
                part.text = styled(part.text or "", FONTS.get(name, ()))
    return element


def _binomial(item: Command) -> ET.Element:
    fraction = _element("mfrac", [_inside(part) for part in item.arguments], linethickness="0")
    ends = [_delimiter(sign, is_tall=True, form=form) for sign, form in (("(", "prefix"), (")", "postfix"))]
    return _element("mrow", [ends[0], fraction, ends[1]])


def _modulo(item: Command) -> ET.Element:
    name = [] if item.name == "\\pod" else [_element("mi", "mod"), _element("mspace", width="0.333em")]
    inside = [*name, *_row_or_table(item.arguments[0])]
    if item.name != "\\mod":
        inside = [_delimiter("(", is_tall=False), *inside, _delimiter(")", is_tall=False)]
    return _element("mrow", [_element("mspace", width="1em"), *inside])


def _root(item: Command) -> ET.Element:
    if not item.optional:
        return _element("msqrt", [_inside(item.arguments[0])])
    return _element("mroot", [_inside(item.arguments[0]), _inside(item.optional)])


_BUILDERS: dict[str, Callable[[Command], ET.Element]] = {
    "\\frac": lambda item: _element("mfrac", [_inside(part) for part in item.arguments]),
    "\\binom": _binomial,
    "\\sqrt": _root,
    "\\overset": lambda item: _element("mover", [_inside(part) for part in reversed(item.arguments)]),
    "\\underset": lambda item: _element("munder", [_inside(part) for part in reversed(item.arguments)]),
    "\\not": lambda item: _element("mo", crossed(item, _SIGNS, target="MathML")),
    **dict.fromkeys(("\\pmod", "\\mod", "\\pod"), _modulo),
}


def _environment(item: Environment) -> ET.Element:
    if item.name == "cases":
        table = _table(item.items, columnalign="left")
        return _element("mrow", [_delimiter("\\{", is_tall=True, form="prefix"), table])
    if item.name == "aligned":
        return _aligned(item.items)
    if item.name == "array":
        return _array(item)
    if item.name in {"matrix", "gathered"}:
        return _table(item.items)
    raise LatexifyError(f"MathML cannot be made of the environment {item.name}")


def _aligned(items: Items) -> ET.Element:
    """Lines whose columns are aligned to the right and to the left in turn, without space in each pair."""
    num_columns = max(len(row) for row in rows_of(items))
    if num_columns == 1:
        return _table(items, displaystyle="true")
    sides = " ".join(islice(cycle(("right", "left")), num_columns))
    gaps = " ".join(islice(cycle(("0", "2em")), num_columns - 1))
    table = _table(items, columnalign=sides, columnspacing=gaps, displaystyle="true")
    for number, cell in ((number, cell) for row in table for number, cell in enumerate(row)):
        cell.set("style", f"{cell.get('style')}; padding-{'left' if number % 2 else 'right'}: 0")
    return table


def _array(item: Environment) -> ET.Element:
    columns = [token for token in item.specification if token not in {"{", "}"}]
    if not set(columns) <= set("lcr|") or columns[:1] == ["|"] or columns[-1:] == ["|"]:
        raise LatexifyError(f"MathML cannot be made of an array with the columns {''.join(item.specification)}")
    sides = {"l": "left", "c": "center", "r": "right"}
    lines = ["solid" if after == "|" else "none" for column, after in pairwise(columns) if column != "|"]
    aligned = " ".join(sides[column] for column in columns if column != "|")
    return _table(item.items, columnalign=aligned, columnlines=" ".join(lines))


def _table(items: Items, **attributes: str) -> ET.Element:
    """Write rows and cells. Chromium and Safari align cells by this style, others by `columnalign`."""
    sides = attributes.get("columnalign", "").split()
    rows = []
    for row in rows_of(items):
        cells = [_element("mtd", _row(cell)) for cell in row]
        for cell, side in zip(cells, sides * len(cells) if len(sides) == 1 else sides, strict=False):
            cell.set("style", f"text-align: -webkit-{side}")
        rows.append(_element("mtr", cells))
    return _element("mtable", rows, **attributes)

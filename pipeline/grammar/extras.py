r"""What allowances add to the strict grammar of LaTeX.

Each allowance is named for what it permits. It only adds: what the strict grammar writes is written in the same way
with any allowances. So the allowances that a set of labels needs are those of its labels, one by one.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from latexify.pipeline.grammar.kinds import END
from latexify.pipeline.grammar.states import FRESH, SCRIPTS, after_script

EMPTY_ARGUMENT = "empty argument"
r"""``\frac{}{2}``, ``\boxed{}``."""
EMPTY_ENVIRONMENT = "empty environment"
r"""``\begin{matrix}\end{matrix}``."""
EMPTY_FIRST_ROW = "empty first row"
r"""``\begin{matrix}\\a\end{matrix}``."""
DOUBLE_SCRIPTS = "double scripts"
"""``x^{2}^{3}``."""
INFIX = "infix commands"
r"""``a\over b\over c``, which has no normal form."""
SPACES = "spaces"
"""``~`` outside text."""
COLUMNS = "any columns"
r"""``\begin{array}{r@{}l}``."""
SIGNS_IN_TEXT = "signs in text"
r"""``\text{5%}``."""
COMMANDS_IN_TEXT = "commands in text"
r"""``\text{a\alpha b}``."""
ENVIRONMENT_IN_OPTION = "environment in option"
r"""``\sqrt[\begin{matrix}a\end{matrix}]{x}``."""
CELLS = {
    "top": "cells at top level",
    "group": "cells in groups",
    "argument": "cells in arguments",
    "option": "cells in options",
}
r"""``a\\b``, by context."""

BRACES_IN_TEXT, BRACES_IN_COLUMNS = "braces in text", "braces in columns"
"""Symbols that only allowances reach: anything up to the brace that closes."""

ALLOWANCES = frozenset(
    [
        *(EMPTY_ARGUMENT, EMPTY_ENVIRONMENT, EMPTY_FIRST_ROW, DOUBLE_SCRIPTS, INFIX, SPACES, COLUMNS),
        *(SIGNS_IN_TEXT, COMMANDS_IN_TEXT, ENVIRONMENT_IN_OPTION),
        *CELLS.values(),
    ]
)


class Extra(NamedTuple):
    """A rule that an allowance adds: this kind of token replaces the symbol."""

    symbol: str
    kind: str
    replacement: tuple[str, ...]
    allowance: str


def extras_of(closing: Mapping[str, str], present: Collection[str]) -> list[Extra]:
    """Return the rules that allowances add.

    closing: the kind that ends each context. present: the kinds of tokens that the vocabulary has.
    """
    extras: list[Extra] = []
    for context, closer in closing.items():
        for state in (*FRESH, *SCRIPTS):
            extras += _in_list(context, state, closer)
    extras += _in_option(closing)
    kinds = sorted(set(present) - {END, "{", "}"})
    for symbol in ("no letters", "letters"):
        for kind in kinds:
            allowance = SIGNS_IN_TEXT if kind in {"odd sign", "&"} else COMMANDS_IN_TEXT
            extras.append(Extra(symbol, kind, ("letters",), allowance))
        extras.append(Extra(symbol, "{", (BRACES_IN_TEXT, "letters"), COMMANDS_IN_TEXT))
    for symbol in ("no columns", "some columns"):
        extras += [Extra(symbol, kind, ("some columns",), COLUMNS) for kind in kinds]
        extras.append(Extra(symbol, "{", (BRACES_IN_COLUMNS, "some columns"), COLUMNS))
    extras.append(Extra("no columns", "}", (), COLUMNS))
    for symbol, allowance in ((BRACES_IN_TEXT, COMMANDS_IN_TEXT), (BRACES_IN_COLUMNS, COLUMNS)):
        extras += [Extra(symbol, kind, (symbol,), allowance) for kind in kinds]
        extras += [Extra(symbol, "{", (symbol, symbol), allowance), Extra(symbol, "}", (), allowance)]
    return extras


def _in_list(context: str, state: str, closer: str) -> Iterator[Extra]:
    symbol, plain, row = f"{context}:{state}", f"{context}:plain", f"{context}:row"
    is_empty = state in {"empty", "guarded"}
    yield Extra(symbol, "infix", (plain,), INFIX)
    yield Extra(symbol, "space", (symbol,), SPACES)
    argument = "argument in option" if context == "option" else "argument"
    for mark in "_^":
        yield Extra(symbol, mark, (argument, after_script(context, state, mark)), DOUBLE_SCRIPTS)
    if context in CELLS:
        yield Extra(symbol, "&", (plain,), CELLS[context])
        yield Extra(symbol, "\\\\", (row,), CELLS[context])
        if context == "argument" and is_empty:
            yield Extra(symbol, closer, (), EMPTY_ARGUMENT)
    elif is_empty:
        yield Extra(symbol, "\\\\", (row,), EMPTY_FIRST_ROW)
        yield Extra(symbol, closer, (), EMPTY_ENVIRONMENT)


def _in_option(closing: Mapping[str, str]) -> Iterator[Extra]:
    """Yield the rules of environments in options."""
    for context in closing:
        if context.startswith("in "):
            name = context.removeprefix("in ")
            begun = ("columns", f"{context}:empty") if name == "array" else (f"{context}:empty",)
            for state in (*FRESH, *SCRIPTS):
                yield Extra(f"option:{state}", f"\\begin{{{name}}}", (*begun, "option:plain"), ENVIRONMENT_IN_OPTION)

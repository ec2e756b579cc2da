"""Check whether a formula is well formed, with the project's parser instead of the grammar of the search."""

from latexify.pipeline.latex import tables, tokenize
from latexify.pipeline.latex.parser import TooDeepError, parse
from latexify.pipeline.latex.prepare import prepare
from latexify.pipeline.latex.tree import SEPARATORS, Command, Environment, Group, Items, Scripted, Verbatim, is_loose


def flaw_of(latex: str) -> str:
    """Return what is wrong with a formula, in a few words; empty if nothing is."""
    try:
        return _flaw_of_items(parse(prepare(tokenize(latex))), in_cells=False)
    except TooDeepError:
        return "nested too deep"


def _flaw_of_items(items: Items, *, in_cells: bool) -> str:
    flaws: list[str] = []
    for item in items:
        if isinstance(item, str):
            flaws.append(_flaw_of_token(item, in_cells=in_cells))
        elif isinstance(item, Group):
            flaws.append(_flaw_of_items(item.items, in_cells=False))
        elif isinstance(item, Environment):
            flaws.append(_flaw_of_items(item.items, in_cells=True) if item.items else "empty environment")
        elif isinstance(item, Verbatim):
            flaws += ["a command in text" for token in item.tokens if token[0] == "\\" and token[1:].isalpha()]
        elif isinstance(item, Command):
            flaws += ["a missing argument"] * item.num_missing
            parts = [*item.arguments, *([] if item.optional is None else [item.optional])]
            flaws += ["an empty argument" for part in parts if not part and item.name in tables.ARITY]
            flaws += [_flaw_of_items(part, in_cells=False) for part in parts]
        else:
            flaws.append(_flaw_of_scripts(item))
    return next(filter(None, flaws), "")


def _flaw_of_token(token: str, *, in_cells: bool) -> str:
    if token in "{}":
        return "a brace without partner"
    if is_loose(token):
        return "one end of an environment"
    if token in SEPARATORS and not in_cells:
        return "a cell outside an environment"
    return "an infix command" if token in tables.INFIX else ""


def _flaw_of_scripts(item: Scripted) -> str:
    marks = [mark for mark, _ in item.scripts]
    if len(set(marks)) < len(marks):
        return "double scripts"
    if any(content is None for _, content in item.scripts):
        return "a script without content"
    lists = [content or [] for _, content in item.scripts] + ([] if item.base is None else [[item.base]])
    return next(filter(None, (_flaw_of_items(part, in_cells=False) for part in lists)), "")

r"""A grammar of well-formed LaTeX for constrained search: the normal form of `latexify.pipeline.latex`, by tokens.

Braces are balanced. Commands and scripts have arguments. A base has at most one subscript and one superscript. Each
``\begin`` has its ``\end``, and cells occur only between the two. Arguments and environments are not empty. What
normalised labels never contain (``\left``, spaces, font switches, ``$``) is not allowed. Some of this may be relaxed by
allowances, because labels are written in more ways (`latexify.pipeline.grammar.allowances`).

The symbols of the grammar are named by their context: a list ``context:state`` of items up to the end of its context,
an argument that must follow, the letters of a text, the columns of an array.
"""

from collections.abc import Collection, Mapping, Sequence

from latexify.pipeline.grammar.extras import BRACES_IN_COLUMNS, BRACES_IN_TEXT, Extra, extras_of
from latexify.pipeline.grammar.kinds import END
from latexify.pipeline.grammar.states import FRESH, SCRIPTS, after_script
from latexify.pipeline.grammar.token_grammar import MAX_SYMBOLS, Rules, TokenGrammar

MATH_SIGNS = ("sign", "column", "rule", "symbol", "[", "]", "*")  # kinds that are items by themselves
TEXT_SIGNS = ("sign", "column", "rule", "letter", "[", "]", "*")  # kinds that a text may contain besides spaces
WITH_OPTIONS = frozenset(["aligned", "gathered"])
"""Environments in which a bracket right after ``\\begin`` is an option."""


def grammar_of(
    kinds: Sequence[str | None], *, allowances: Collection[str] = (), max_symbols: int = MAX_SYMBOLS
) -> TokenGrammar:
    """Make the grammar for a vocabulary.

    kinds: of each token id (`kind_of`; END for the end token; None for tokens that are never written).
    """
    present = {kind for kind in kinds if kind is not None}
    rules, closing = _strict_rules(present)
    ends = {"letters": "}", "some columns": "}"}  # of symbols that may end without anything being invented
    for context, closer in closing.items():
        lists = (f"{context}:{state}" for state in (*FRESH, *SCRIPTS))
        ends |= {symbol: closer for symbol in lists if closer in rules[symbol]}
    if allowances:
        ends |= dict.fromkeys((BRACES_IN_TEXT, BRACES_IN_COLUMNS), "}")
        for extra in _extras(closing, present):
            if extra.allowance in allowances:
                rules.setdefault(extra.symbol, {}).setdefault(extra.kind, extra.replacement)
    return TokenGrammar(rules=rules, start="top:empty", kinds=kinds, closing_kinds=ends, max_symbols=max_symbols)


def owners_of(kinds: Sequence[str | None]) -> dict[tuple[str, str], str]:
    """Return which allowance permits a kind of token at a symbol, for all that only an allowance permits."""
    present = {kind for kind in kinds if kind is not None}
    rules, closing = _strict_rules(present)
    owners: dict[tuple[str, str], str] = {}
    for extra in _extras(closing, present):
        if extra.kind not in rules.get(extra.symbol, {}):
            owners.setdefault((extra.symbol, extra.kind), extra.allowance)
    return owners


def _extras(closing: Mapping[str, str], present: Collection[str]) -> list[Extra]:
    """Return all that allowances add to the strict rules."""
    extras = extras_of(closing, present)
    # what an argument may begin with, a group that comes first in its list may, too
    first = [extra for extra in extras if extra.symbol == "argument:empty"]
    for context in closing:
        for extra in first:
            replacement = (*extra.replacement, f"{context}:plain")
            extras.append(Extra(f"{context}:brace", extra.kind, replacement, extra.allowance))
    return extras


def _strict_rules(present: Collection[str]) -> tuple[Rules, dict[str, str]]:
    """Return the rules without allowances, and the kind that ends each context."""
    names = sorted(kind[len("\\begin{") : -1] for kind in present if kind.startswith("\\begin{"))
    begins = {f"\\begin{{{name}}}": _environment(name) for name in names}
    commands = {kind: _arguments(kind) for kind in sorted(present) if kind.startswith("command")}
    closing = {"top": END, "group": "}", "argument": "}", "option": "]"}
    closing |= {f"in {name}": f"\\end{{{name}}}" for name in names}
    rules = _argument_rules()
    for context, closer in closing.items():
        rules |= _list_rules(context, closer=closer, begins=begins, commands=commands)
    for context in closing:  # after a brace that comes first: an empty group does not count as content
        content = {kind: (*new, f"{context}:plain") for kind, new in rules["argument:empty"].items()}
        rules[f"{context}:brace"] = {**content, "}": (f"{context}:empty",)}
    return rules, closing


def _environment(name: str) -> tuple[str, ...]:
    if name == "array":
        return ("columns", "in array:empty")
    return (f"in {name}:guarded" if name in WITH_OPTIONS else f"in {name}:empty",)


def _arguments(kind: str) -> tuple[str, ...]:
    """Return the symbols that must follow a command."""
    count = int(kind.split()[1])
    return ("option or argument", *["argument"] * (count - 1)) if kind.endswith("[") else ("argument",) * count


def _list_rules(
    context: str, *, closer: str, begins: Mapping[str, tuple[str, ...]], commands: Mapping[str, tuple[str, ...]]
) -> Rules:
    """Return the rules of a list of items, in each of its states."""
    plain, in_option, has_cells = f"{context}:plain", context == "option", context.startswith("in ")
    rules: Rules = {}
    for state in (*FRESH, *SCRIPTS):
        options: dict[str, tuple[str, ...]] = dict.fromkeys(MATH_SIGNS, (plain,))
        for kind, arguments in commands.items():
            # a bare bracket would end the option around the arguments
            options[kind] = (*(("argument in option",) * len(arguments) if in_option else arguments), plain)
        options["text"] = ("text", plain)
        options["{"] = (f"{context}:brace",) if state in {"empty", "guarded"} else ("group:plain", plain)
        argument = "argument in option" if in_option else "argument"
        for mark in SCRIPTS.get(state, "_^"):
            options[mark] = (argument, after_script(context, state, mark))
        if in_option:
            del options["]"]  # it would end the option at any depth
        else:
            options |= {kind: (*begun, plain) for kind, begun in begins.items()}
        if has_cells:
            options["&"] = (plain,)
            if state not in {"empty", "guarded"}:
                options["\\\\"] = (f"{context}:row",)
        if state in {"guarded", "row"}:
            del options["["]
        if state == "row":
            del options["*"]
        if context == "top" or state not in {"empty", "guarded"}:
            options[closer] = ()
        rules[f"{context}:{state}"] = options
    return rules


def _argument_rules() -> Rules:
    """Return the rules of what must follow: arguments, texts, the columns of an array."""
    braced = {"{": ("argument:empty",)}
    single: dict[str, tuple[str, ...]] = dict.fromkeys(MATH_SIGNS, ())
    unbracketed = {kind: new for kind, new in single.items() if kind not in {"[", "]"}}
    in_text = dict.fromkeys(TEXT_SIGNS, ("letters",))
    return {
        "argument": {**braced, **single},
        "argument in option": {**braced, **unbracketed},
        "option or argument": {**braced, **single, "[": ("option:empty", "argument")},
        "text": {"{": ("no letters",)},
        "no letters": {**in_text, "space": ("no letters",)},
        "letters": {**in_text, "space": ("letters",), "}": ()},
        "columns": {"{": ("no columns",)},
        "no columns": {"column": ("some columns",), "rule": ("no columns",)},
        "some columns": {"column": ("some columns",), "rule": ("some columns",), "}": ()},
    }

r"""A grammar of well-formed LaTeX for constrained search: the normal form of `latexify.pipeline.latex`, by tokens.

Braces are balanced. Commands and scripts have arguments, which are not empty. A base has at most one subscript and one
superscript. Each ``\begin`` has its ``\end``, and cells occur only between the two. What normalised labels never
contain (``\left``, spaces, font switches, ``$``) is not allowed.

The symbols of the grammar are named by their context: a list ``context:state`` of items up to the end of its context,
an argument that must follow, the letters of a text, the columns of an array.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latexify.artifacts.names import MODEL
from latexify.common.errors import LatexifyError
from latexify.pipeline.latex import tables, tokenize
from latexify.pipeline.latex.prepare import prepare
from latexify.trainer.inference.constraint import Constraint, TokenGrammar

Rules = dict[str, dict[str, tuple[str, ...]]]

MATH_SIGNS = ("sign", "column", "rule", "symbol", "[", "]", "*")  # kinds that are items by themselves
TEXT_SIGNS = ("sign", "column", "rule", "letter", "[", "]", "*")  # kinds that a text may contain besides spaces
STRUCTURE = frozenset(["{", "}", "[", "]", "_", "^", "&", "\\\\", "*"])  # tokens that are their own kind
SCRIPTS = {"plain": "_^", "low": "^", "high": "_", "both": ""}
"""States of a list after an item: the scripts that may still follow the item."""
FRESH = ("empty", "guarded", "row")
"""States of a list before an item: empty, empty where a bracket would begin an option, after a new row."""
WITH_OPTIONS = frozenset(["aligned", "gathered"])
"""Environments in which a bracket right after ``\\begin`` is an option."""
ESCAPED = frozenset(["\\%", "\\#", "\\&", "\\$", "\\_", "\\{", "\\}"])
NO_LETTERS = frozenset("\\{}$&#^_%~")
END = "end"


def constraint_for(folder: Path) -> Constraint | None:
    """Make the constraint for a model folder's vocabulary; None if its tokens are pieces of text, not LaTeX tokens.

    Raises LatexifyError if files cannot be read, or no formula can be made of the vocabulary.
    """
    if not (folder / "tokenizer.json").is_file():  # a base model's own, in another format
        return None
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        num_ids, end_id = int(config["decoder"]["vocab_size"]), int(config["eos_token_id"])
        words = _latex_words(tokenizer)
        if words is None:
            return None
        kinds: list[str | None] = [None] * num_ids
        for word, token_id in words.items():
            kinds[token_id] = kind_of(word)
        kinds[end_id] = END
        return Constraint(grammar_of(kinds))
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise LatexifyError(
            f"{folder} has no usable vocabulary for constrained search ({type(error).__name__}: {error}): "
            f"run `{MODEL.producer}` again, or turn the constraint off"
        ) from None


def _latex_words(tokenizer: Any) -> dict[str, int] | None:
    """Return the ids of the tokens without special ones; None if not every one is exactly one LaTeX token."""
    model = tokenizer["model"]
    if model.get("type") != "WordLevel":
        return None
    special = {token["content"] for token in tokenizer["added_tokens"] if token["special"]}
    words = {str(word): int(token_id) for word, token_id in model["vocab"].items() if word not in special}
    return words if all(tokenize(word) == [word] for word in words) else None


def kind_of(token: str) -> str | None:  # noqa: C901, PLR0911 (one branch for each kind)
    r"""Return the kind of a LaTeX token; None if the normal form never has it. ``\begin{x}`` is its own kind."""
    if token in STRUCTURE:
        return token
    if token == "~":
        return "space"
    if token == "'":
        return "letter"  # outside text, a prime is a superscript
    if token in tables.FONT_SWITCHES or token in tables.INFIX:
        return None
    if token in tables.TEXT_COMMANDS:
        return "text"
    if token in tables.ARITY:
        return f"command {tables.ARITY[token]}{' [' if token in tables.OPTIONAL_ARGUMENT else ''}"
    if token.startswith("\\mathbb{"):
        return "symbol"
    if prepare([token]) != [token]:
        return "letter" if len(token) == 1 and token.isprintable() and token not in NO_LETTERS else None
    if token.startswith(("\\begin{", "\\end{")):
        return None if token.endswith("*}") else token
    if len(token) == 1 or token in ESCAPED:
        return {"l": "column", "c": "column", "r": "column", "|": "rule"}.get(token, "sign")
    return "symbol"


def grammar_of(kinds: list[str | None]) -> TokenGrammar:
    """Make the grammar for a vocabulary, by the kind of each token id (:func:`kind_of`; END for the end token)."""
    present = {kind for kind in kinds if kind is not None}
    names = sorted(kind[len("\\begin{") : -1] for kind in present if kind.startswith("\\begin{"))
    begins = {f"\\begin{{{name}}}": _environment(name) for name in names}
    commands = {kind: _arguments(kind) for kind in present if kind.startswith("command")}
    closing = {"top": END, "group": "}", "argument": "}", "option": "]"}
    closing |= {f"in {name}": f"\\end{{{name}}}" for name in names}
    rules = _argument_rules()
    ends = {"letters": "}", "some columns": "}"}
    for context, closer in closing.items():
        lists = _list_rules(context, closer=closer, begins=begins, commands=commands)
        ends |= {symbol: closer for symbol, options in lists.items() if closer in options}
        rules |= lists
    for context in closing:  # after a brace that comes first: an empty group does not count as content
        content = {kind: (*new, f"{context}:plain") for kind, new in rules["argument:empty"].items()}
        rules[f"{context}:brace"] = {**content, "}": (f"{context}:empty",)}
    return TokenGrammar(rules=rules, start="top:empty", kinds=kinds, closing_kinds=ends)


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
            options[mark] = (argument, _after_script(context, state, mark))
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


def _after_script(context: str, state: str, mark: str) -> str:
    """Return the list after a script."""
    after = "low" if mark == "_" else "high"
    return f"{context}:{'both' if state in {'low', 'high'} else after}"


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

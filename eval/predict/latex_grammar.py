r"""What well-formed LaTeX is, for a search that keeps to it: the normal form of `latexify.pipeline.latex`, token by token.

Braces have partners, commands and scripts have their arguments, and these are not empty; a base has one subscript and
one superscript; each ``\begin`` has its ``\end``, and cells stand between the two alone. What normalised labels never
hold (``\left``, spaces, font switches, ``$``) is never written.

The symbols of the grammar are named by where they stand: a list ``place:state`` of items up to the end of its place, an
argument that must come, the letters of a text, the columns of an array.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from latexify.artifacts.names import MODEL
from latexify.common.errors import LatexifyError
from latexify.pipeline.latex import tables, tokenize
from latexify.pipeline.latex.prepare import prepare
from latexify.trainer.inference.constraint import Constraint, Grammar

Rules = dict[str, dict[str, tuple[str, ...]]]

MATH_SIGNS = ("sign", "column", "rule", "symbol", "[", "]", "*")
"""Kinds that are an item by themselves."""
TEXT_SIGNS = ("sign", "column", "rule", "letter", "[", "]", "*")
"""Kinds that a text may hold, beside spaces."""
STRUCTURE = frozenset(["{", "}", "[", "]", "_", "^", "&", "\\\\", "*"])
"""Tokens that are kinds of their own."""
SCRIPTS = {"plain": "_^", "low": "^", "high": "_", "both": ""}
"""The states of a list behind an item: the scripts that the item may still get."""
FRESH = ("empty", "guarded", "row")
"""The states of a list behind no item: nothing yet, the same where a bracket would be an option, a new row."""
WITH_OPTIONS = frozenset(["aligned", "gathered"])
"""Environments for which a bracket right behind ``\\begin`` is an option."""
ESCAPED = frozenset(["\\%", "\\#", "\\&", "\\$", "\\_", "\\{", "\\}"])
NO_LETTERS = frozenset("\\{}$&#^_%~")
END = "end"


def constraint_for(folder: Path) -> Constraint | None:
    """The constraint for the vocabulary of a model folder; None where its tokens are pieces of text, not of LaTeX.

    Raises LatexifyError where the folder's files cannot be read, or hold no vocabulary that a formula can be made of.
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
            f"{folder} holds no vocabulary to keep to ({type(error).__name__}: {error}): run `{MODEL.producer}` again, "
            "or read without constraint"
        ) from None


def _latex_words(tokenizer: Any) -> dict[str, int] | None:
    """The ids of the tokens, special ones left out; None where they are not LaTeX tokens, one for one."""
    model = tokenizer["model"]
    if model.get("type") != "WordLevel":
        return None
    special = {token["content"] for token in tokenizer["added_tokens"] if token["special"]}
    words = {str(word): int(token_id) for word, token_id in model["vocab"].items() if word not in special}
    return words if all(tokenize(word) == [word] for word in words) else None


def kind_of(token: str) -> str | None:  # noqa: C901, PLR0911 (one branch for each kind)
    r"""The kind of a LaTeX token; None for what no normal form has. ``\begin`` and ``\end`` are kinds by their name."""
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


def grammar_of(kinds: list[str | None]) -> Grammar:
    """The grammar for a vocabulary. kinds: of each token id, as :func:`kind_of` says; END for the end token."""
    present = {kind for kind in kinds if kind is not None}
    names = sorted(kind[len("\\begin{") : -1] for kind in present if kind.startswith("\\begin{"))
    begins = {f"\\begin{{{name}}}": _environment(name) for name in names}
    commands = {kind: _arguments(kind) for kind in present if kind.startswith("command")}
    closers = {"top": END, "group": "}", "argument": "}", "option": "]"}
    closers |= {f"in {name}": f"\\end{{{name}}}" for name in names}
    rules = _argument_rules()
    ends = {"letters": "}", "some columns": "}"}
    for place, closer in closers.items():
        lists = _list_rules(place, closer=closer, begins=begins, commands=commands)
        ends |= {symbol: closer for symbol, found in lists.items() if closer in found}
        rules |= lists
    for place in closers:  # behind a brace that stands first: an empty group is no content, any other is
        content = {kind: (*new, f"{place}:plain") for kind, new in rules["argument:empty"].items()}
        rules[f"{place}:brace"] = {**content, "}": (f"{place}:empty",)}
    return Grammar(rules=rules, start="top:empty", kinds=kinds, closers=ends)


def _environment(name: str) -> tuple[str, ...]:
    if name == "array":
        return ("columns", "in array:empty")
    return (f"in {name}:guarded" if name in WITH_OPTIONS else f"in {name}:empty",)


def _arguments(kind: str) -> tuple[str, ...]:
    """What must follow a command."""
    count = int(kind.split()[1])
    return ("option or argument", *["argument"] * (count - 1)) if kind.endswith("[") else ("argument",) * count


def _list_rules(
    place: str, *, closer: str, begins: Mapping[str, tuple[str, ...]], commands: Mapping[str, tuple[str, ...]]
) -> Rules:
    """The rules of a list of items, in each of its states."""
    plain, in_option, has_cells = f"{place}:plain", place == "option", place.startswith("in ")
    rules: Rules = {}
    for state in (*FRESH, *SCRIPTS):
        found: dict[str, tuple[str, ...]] = {}
        found |= dict.fromkeys(MATH_SIGNS, (plain,))
        for kind, arguments in commands.items():
            found[kind] = (*(_within_option(arguments) if in_option else arguments), plain)
        found["text"] = ("text", plain)
        found["{"] = (f"{place}:brace",) if state in {"empty", "guarded"} else ("group:plain", plain)
        for mark in SCRIPTS.get(state, "_^"):
            found[mark] = (_within_option(("argument",))[0] if in_option else "argument", _lifted(place, state, mark))
        if in_option:
            del found["]"]  # it would end the option, wherever it stands
        else:
            found |= {kind: (*begun, plain) for kind, begun in begins.items()}
        if has_cells:
            found["&"] = (plain,)
            if state not in {"empty", "guarded"}:
                found["\\\\"] = (f"{place}:row",)
        if state in {"guarded", "row"}:
            del found["["]
        if state == "row":
            del found["*"]
        if place == "top" or state not in {"empty", "guarded"}:
            found[closer] = ()
        rules[f"{place}:{state}"] = found
    return rules


def _lifted(place: str, state: str, mark: str) -> str:
    """The list behind a script."""
    if state in {"low", "high"}:
        return f"{place}:both"
    return f"{place}:{'low' if mark == '_' else 'high'}"


def _within_option(arguments: Iterable[str]) -> tuple[str, ...]:
    """The same where a bare bracket would end the option around it."""
    return tuple("argument in option" for _ in arguments)


def _argument_rules() -> Rules:
    """The rules of what must come: arguments, texts, the columns of an array."""
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

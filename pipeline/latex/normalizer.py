r"""Write a formula in its normal form, that of MathWriting's ``normalizedLabel``.

The rules are in docs/reference/latex.md.
"""

import html
import re

from latexify.pipeline.latex.lexer import join_tokens, tokenize
from latexify.pipeline.latex.parser import TooDeepError, parse
from latexify.pipeline.latex.prepare import prepare
from latexify.pipeline.latex.tables import OPTION_ENVIRONMENTS
from latexify.pipeline.latex.tree import write

NORMALIZER_VERSION = 3
"""Increased whenever the normal form of some text changes."""

# an escaped character (which hides an entity), or an entity
_ENTITY = re.compile(r"\\[\s\S]|&(?:(?:amp;)*(?P<name>lt|gt|quot|apos|nbsp|#39);|(?:amp;)+)")
_TAKES_OPTION = frozenset(["\\\\", *(f"\\begin{{{name}}}" for name in OPTION_ENVIRONMENTS if name != "array")])


def normalize(text: str) -> str:
    r"""Return the normal form of any text. It is idempotent.

    The result is compact (`join_tokens`): spaces occur only between a command word and a letter. Text that is not a
    formula (unbalanced braces, nesting beyond `latexify.pipeline.latex.parser.MAX_DEPTH`) is kept as far as possible.
    """
    tokens = prepare(tokenize(_clean(text)))
    written: list[str] = []
    try:
        write(parse(tokens), written)
    except TooDeepError:
        written = [token for token in tokens if token[-1] != " "]
    compact = join_tokens(_guard_rows(written))
    return _ENTITY.sub(_guarded_entity, compact) if "&" in compact else compact


def _clean(text: str) -> str:
    """Replace line breaks and invisible characters by spaces, and resolve XML entities that were escaped twice."""
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    if "&" in text:
        text = _ENTITY.sub(_read_entity, text)
    return text


def _read_entity(match: re.Match[str]) -> str:
    if match[0][0] == "\\":
        return match[0]
    return html.unescape(f"&{match['name'] or 'amp'};").replace("\xa0", " ")


def _guarded_entity(match: re.Match[str]) -> str:
    """Keep a cell that begins with ``lt;`` from being read as an entity next time."""
    return match[0] if match[0][0] == "\\" else "&{}" + match[0][1:]


def _guard_rows(tokens: list[str]) -> list[str]:
    r"""Insert ``{}`` where a star or bracket would be an option of what stands before it, a ``\\`` or ``\begin``."""
    if _TAKES_OPTION.isdisjoint(tokens):
        return tokens
    guarded: list[str] = []
    for token, following in zip(tokens, [*tokens[1:], ""], strict=True):
        guarded.append(token)
        if (token == "\\\\" and following in {"[", "*"}) or (token in _TAKES_OPTION and following == "["):
            guarded.extend("{}")
    return guarded

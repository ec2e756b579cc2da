r"""Split LaTeX into tokens.

Tokens are MathWriting's: ``\mathbb{R}``, ``\begin{matrix}``, ``\end{matrix}``, ``\operatorname*``, a command word, an
escaped character, or one character. In addition, environments may be starred or hold capitals (``\begin{Bmatrix}``),
the character after a backslash may be a line break, and a backslash at the end of the text is a token.
"""

import re
from collections.abc import Iterable

TOKEN_PATTERN = (
    r"\\(?:mathbb\{[a-zA-Z]\}|begin\{[a-zA-Z]+\*?\}|end\{[a-zA-Z]+\*?\}|operatorname\*|[a-zA-Z]+|[\s\S])|[\s\S]"
)
"""Free of look-around and named groups, so that the engines of Python and `tokenizers` agree."""

_TOKEN = re.compile(TOKEN_PATTERN)
_MATHWRITING_TOKEN = re.compile(r"\\(?:mathbb{[a-zA-Z]}|begin{[a-z]+}|end{[a-z]+}|operatorname\*|[a-zA-Z]+|.)|[\s\S]")
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def tokenize(text: str) -> list[str]:
    """Split any text into LaTeX tokens, spaces included; joined, they give `text` again."""
    return _TOKEN.findall(text)


def tokenize_mathwriting(text: str) -> list[str]:
    r"""Split any text into tokens as MathWriting's notebook does, to the letter.

    Starred environments and those with capitals are letters there. Where the notebook fails, at a backslash at the end
    or before a line break, the backslash is a token.
    """
    return _MATHWRITING_TOKEN.findall(text)


def join_tokens(tokens: Iterable[str]) -> str:
    r"""Join tokens into compact text, with a space only between a command word and a letter.

    For the tokens of a normalized label, without spaces, this gives the label again.
    """
    parts: list[str] = []
    after_word = False
    for token in tokens:
        if after_word and token[:1] in _LETTERS:
            parts.append(" ")
        parts.append(token)
        after_word = len(token) > 1 and token[0] == "\\" and token[-1] in _LETTERS
    return "".join(parts)

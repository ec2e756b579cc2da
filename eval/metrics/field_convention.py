r"""The convention by which papers on handwritten mathematics count an answer as right.

Their labels have no fonts, no braces around the base of a script, and functions in letters, and they do not tell
``\dots`` from ``\cdots``. Answers that differ in nothing else are right by `exact_match_field`. The strict figure stays
`exact_match`.
"""

import re
from collections.abc import Iterable, Sequence

from latexify.pipeline.latex import tables

FONTS = frozenset(
    [*tables.TEXT_COMMANDS, *(name for name in tables.ARITY if name.startswith("\\math") and name != "\\mathring")]
) | {"\\boldsymbol"}
"""Commands that are dropped, with the braces of their argument."""

ONE_SIGN = {"\\cdots": ("\\dots",), "\\|": ("|", "|"), "\\parallel": ("|", "|"), "'": ("\\prime",)}
"""Signs that the field does not distinguish: each with the tokens that stand for it."""

_FUNCTIONS = {name: tuple(name[1:]) for name in tables.OPERATORS}
_AFFECTED = re.compile(
    "|".join(
        [
            *(
                rf"{re.escape(name)}(?![a-zA-Z])"
                for name in sorted(FONTS | ONE_SIGN.keys() - {"'", "\\|"} | tables.OPERATORS)
            ),
            *(re.escape(text) for text in ("\\prime", "'", "\\|", "||", "~")),
            # a group behind neither a command nor a script's mark nor another group: perhaps the base of a script
            r"(?<![a-zA-Z_^}\]\\])\{",
            r"(?<![\\a-zA-Z])[a-zA-Z]+\{",
        ]
    )
)


def is_affected(latex: str) -> bool:
    """Return whether the convention may write a formula otherwise; a quick look that is wrong on one side only."""
    return _AFFECTED.search(latex) is not None


def field_tokens(tokens: Iterable[str]) -> list[str]:
    """Write a formula, given by its tokens without spaces, as the field does. Any tokens give a result."""
    return _Writer([token for token in tokens if token != "~"]).run()


class _Writer:
    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tokens
        self._out: list[str] = []
        # for each open brace: the index of its copy in the output (None if it was dropped), whether it is a group of
        # its own, and the number of arguments that its command still lacks behind it
        self._open: list[tuple[int | None, bool, int]] = []
        self._num_expected = 0  # arguments of the last command that still follow
        self._is_font = False  # whether the next brace is that of a dropped font

    def run(self) -> list[str]:
        at = 0
        while at < len(self._tokens):
            token = self._tokens[at]
            at += 1
            if token == "{":
                self._begin(at)
            elif token == "}":
                self._end(at)
            elif token == "^" and self._tokens[at : at + 2] == ["{", "\\prime"]:
                at = self._take_primes(at + 1)
            else:
                self._take(token)
        return self._out

    def _take(self, token: str) -> None:
        if token in FONTS:
            self._is_font = True
            return
        self._num_expected = max(self._num_expected, tables.ARITY.get(token, 0))
        if token.startswith("\\mathbb{"):
            token = token[-2]
        self._out.extend(ONE_SIGN.get(token) or _FUNCTIONS.get(token) or (token,))

    def _begin(self, at: int) -> None:
        if self._is_font:
            self._open.append((None, False, self._num_expected))
        else:
            is_argument = self._num_expected > 0 or (at > 1 and self._takes_groups(self._tokens[at - 2]))
            self._open.append((len(self._out), not is_argument, max(0, self._num_expected - 1)))
            self._out.append("{")
        self._is_font, self._num_expected = False, 0

    @staticmethod
    def _takes_groups(token: str) -> bool:
        """Return whether a brace right behind `token` is no group of its own, but an argument of some command."""
        if token in "^_}":
            return True
        return (
            token[0] == "\\"
            and len(token) > 1
            and token not in tables.SYMBOLS
            and (token[1:].isalpha() or "{" in token)
        )

    def _end(self, at: int) -> None:
        if not self._open:
            self._out.append("}")
            return
        index, is_group, self._num_expected = self._open.pop()
        if index is None:
            return
        is_base = at < len(self._tokens) and self._tokens[at] in {"^", "_"}
        if is_group and is_base and index < len(self._out) - 1:
            del self._out[index]
        else:
            self._out.append("}")

    def _take_primes(self, at: int) -> int:
        """Write the primes at the front of a superscript on the line, and return the index of what follows them."""
        while at < len(self._tokens) and self._tokens[at] == "\\prime":
            self._out.append("\\prime")
            at += 1
        if at < len(self._tokens) and self._tokens[at] == "}":
            return at + 1
        self._out.append("^")
        self._open.append((len(self._out), False, self._num_expected))
        self._out.append("{")
        return at

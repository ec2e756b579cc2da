r"""First half of the normalizer: respell token by token, without parsing the formula.

The output has no spaces, sizes, dollars or ``\left``, and one spelling for synonyms. The contents of text commands stay
as they are, since spaces are significant there.
"""

import re
from itertools import dropwhile

from latexify.pipeline.latex import pasted, tables
from latexify.pipeline.latex.tables import REPLACEMENTS

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-=()[]|/*<>,.:;!?^_'")
_SCOPED = frozenset(tables.INFIX) | frozenset(tables.FONT_SWITCHES)
_MARKS = frozenset("^_")
_DEGREES = frozenset(["\\circ", "\\degree", "\N{DEGREE SIGN}"])
_LIMITS = frozenset(["\\limits", "\\nolimits", "\\displaylimits"])
_DELIMITER_SIGNS = tables.OPENING | tables.CLOSING | {"|", "\\|", "/"}
_DOLLAR = "$ "
"""A dollar outside text. It is not a token of the lexer, which distinguishes it from one inside text."""
# A careless replacement of `<` by `\lt` left `\ltN`. The excluded words are real commands.
_FUSED = re.compile(r"\\(lt|gt)(?!imes|r?dot|r?less|r?approx|r?sim|r?eqq?less|cc)([a-zA-Z]+)")
_DIMENSION = re.compile(r"[+-]?[\d.]+(?:true)?(?:pt|pc|in|bp|cm|mm|dd|cc|sp|ex|em|mu)")
_DIMENSION_CHARS = 12


def prepare(tokens: list[str]) -> list[str]:
    r"""Respell the lexer's tokens of a formula in math mode; ``\mathbb{R}`` becomes four tokens."""
    return _resolve_dollars(_Preparation(tokens).run())


class _Preparation:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._out: list[str] = []
        # open braces and environments (None), and the output index at which an open `\left` begins
        self._open: list[int | None] = []
        self._gap = -1  # output index behind a space, where a script has no base
        self._has_scopes = not _SCOPED.isdisjoint(tokens)

    def run(self) -> list[str]:
        tokens, out = self._tokens, self._out
        while self._at < len(tokens):
            token = tokens[self._at]
            self._at += 1
            if token in _PLAIN:
                if self._gap == len(out):
                    self._write_base(token)
                out.append(token)
            elif (replacement := REPLACEMENTS.get(token)) is not None:
                if replacement:
                    if self._gap == len(out):
                        self._write_base(replacement[0])
                    out.extend(replacement)
                elif token in tables.SPACES:
                    self._gap = len(out)
                elif token in _LIMITS:
                    self._gap = -1
            else:
                self._take(token)
        return [token for token in out if token]

    def _take(self, token: str) -> None:  # noqa: C901 (one branch for each kind of token)
        if token in "{}":
            self._open_or_close(is_opening=token == "{")
            self._out.append(token)
        elif token == "$":
            self._out.append(_DOLLAR)
        elif token in {"&", "\\\\"}:
            self._close_lefts()
            self._out.append(token)
            if token == "\\\\":
                self._skip_row_options()
        elif token in tables.SIZED_DELIMITERS:
            self._take_sized(token)
        elif token in tables.TEXT_COMMANDS:
            self._copy_text(token)
        elif token.startswith(("\\begin", "\\end")):
            self._take_environment(token)
        elif token.startswith("\\mathbb{"):
            self._out.extend(["\\mathbb", "{", token[-2], "}"])
        elif token in tables.DROPPED_ARGUMENTS:
            self._skip_arguments(token)
        elif token in tables.DIMENSION_COMMANDS:
            self._skip_dimension()
        else:
            self._respell(token)
        if token in tables.SPACES:
            self._gap = len(self._out)

    def _respell(self, token: str) -> None:
        """Write a token that needs nothing of the formula but what stands beside it."""
        if token in tables.VERBATIM_COMMANDS:
            self._copy_verbatim(token)
        elif token == "\\cfrac":
            self._out.append("\\frac")
            self._skip_spaces()
            if self._tokens[self._at : self._at + 1] == ["["] and self._tokens[self._at + 2 : self._at + 3] == ["]"]:
                self._at += 3
        elif fused := _FUSED.fullmatch(token):
            self._out.extend(["<" if fused[1] == "lt" else ">", *fused[2]])
        elif found := pasted.script(token):
            self._write_scripts(found[0])
        else:
            for spelt in pasted.spelling(token) or (token,):
                self._write_sign(spelt)

    def _write_sign(self, token: str) -> None:
        if token == "\\degree":
            self._write_degree()
            return
        self._write_base(token)
        self._out.append(token)

    def _write_base(self, token: str) -> None:
        r"""Write the empty base of a script behind a space, which would otherwise join what stands before the space.

        Primes and degrees belong to what stands before them all the same (``f\,'``, ``90\ ^\circ``).
        """
        if self._gap != len(self._out) or token not in _MARKS:
            return
        if token == "_" or next((sign for sign in self._tokens[self._at :] if sign not in " {"), "") not in _DEGREES:
            self._out.extend("{}")

    def _write_degree(self) -> None:
        r"""Write a raised ``\circ``; where it is raised already (``90^\degree``), only the sign."""
        if self._out[-1:] == ["^"] or self._out[-2:] == ["^", "{"]:
            self._out.append("\\circ")
            return
        self._out.extend(["^", "{", "\\circ", "}"])

    def _write_scripts(self, mark: str) -> None:
        """Write a run of raised or lowered signs (``x⁻¹``) as one script; behind a mark, as its argument."""
        content: list[str] = []
        self._at -= 1
        while self._at < len(self._tokens) and (found := pasted.script(self._tokens[self._at])) and found[0] == mark:
            content.extend(found[1])
            self._at += 1
        self._write_base(mark)
        if self._out[-1:] != [mark]:
            self._out.append(mark)
        self._out.extend(["{", *content, "}"])

    def _copy_verbatim(self, token: str) -> None:
        """Make one token of a command and its argument, as they are; without an argument, of it and an empty one."""
        self._skip_spaces()
        end = self._end_of_group()
        self._out.append(token + ("".join(self._tokens[self._at : end]) or "{}"))
        self._at = end

    def _open_or_close(self, *, is_opening: bool) -> None:
        if is_opening:
            self._open.append(None)
            return
        self._close_lefts()
        if self._open:
            self._open.pop()

    def _close_lefts(self) -> None:
        r"""Drop each ``\left`` without ``\right`` in its own group or cell."""
        while self._open and self._open[-1] is not None:
            self._open.pop()

    def _take_sized(self, token: str) -> None:
        r"""Drop ``\left``, ``\right``, ``\big`` and so on, but keep their group if an infix command needs it."""
        self._skip_spaces()
        sign = self._tokens[self._at] if self._at < len(self._tokens) else ""
        if sign in tables.DELIMITERS:
            spelt = [tables.DELIMITERS[sign]]
        else:
            spelt = list(REPLACEMENTS.get(sign, pasted.spelling(sign) or (sign,)))
            if not spelt or spelt[0] not in _DELIMITER_SIGNS:
                sign, spelt = "", []
        self._at += bool(sign)
        if token == "\\right" and self._open and (start := self._open[-1]) is not None:
            self._open.pop()
            self._out[start] = "{"
            self._out.append("}")
        self._out.extend(spelt)
        if token == "\\left" and self._has_scopes:
            self._open.append(len(self._out))
            self._out.append("")

    def _copy_text(self, token: str) -> None:
        self._skip_spaces()
        end = self._end_of_group()
        argument, self._at = self._tokens[self._at : end], end
        inside = list(dropwhile(lambda sign: sign == " ", argument[1:-1]))
        if inside and (spelt := pasted.spelling(inside[0]) or ("",))[0] == "\\degree":  # a unit of mathematics
            self._write_degree()
            argument = ["{", *spelt[1:], *inside[1:], "}"]
        self._out += [token, *argument]

    def _take_environment(self, token: str) -> None:
        r"""Write ``\begin { matrix* }`` as one token, and drop environments without meaning."""
        kind, name = ("\\begin", token[7:-1]) if token.startswith("\\begin") else ("\\end", token[5:-1])
        if token == kind:
            self._skip_spaces()
            end = self._end_of_group()
            name = "".join(self._tokens[self._at + 1 : end - 1]).replace(" ", "")
            if not re.fullmatch(r"[a-zA-Z]+\*?", name):
                return
            self._at = end
        elif token[-1] != "}":
            self._out.append(token)
            return
        if name.removesuffix("*") in tables.DROPPED_ENVIRONMENTS:
            return
        self._close_lefts()
        self._open_or_close(is_opening=kind == "\\begin")
        self._out.append(f"{kind}{{{name}}}")

    def _skip_row_options(self) -> None:
        r"""Skip the star and the distance that may follow ``\\``."""
        rest = "".join(self._tokens[self._at : self._at + _DIMENSION_CHARS]).replace(" ", "")
        if rest.startswith("*"):
            self._skip_spaces()
            self._at += 1
        elif rest.startswith("[") and (match := _DIMENSION.match(rest, 1)) and rest[match.end() :].startswith("]"):
            self._at = self._tokens.index("]", self._at) + 1

    def _skip_arguments(self, token: str) -> None:
        if self._tokens[self._at : self._at + 1] == ["*"]:
            self._at += 1
        self._skip_spaces()
        if token in tables.DROPPED_OPTION and self._tokens[self._at : self._at + 1] == ["["]:
            self._skip_option()
        for _ in range(tables.DROPPED_ARGUMENTS[token]):
            self._skip_spaces()
            end = self._end_of_group()
            if end == self._at and token in tables.DROPPED_SIGN and self._is_sign():
                end += 1
            self._at = end

    def _skip_option(self) -> None:
        """Skip what stands in brackets here, if a group follows."""
        if "]" not in self._tokens[self._at :]:
            return
        begin, self._at = self._at, self._tokens.index("]", self._at) + 1
        self._skip_spaces()
        if self._tokens[self._at : self._at + 1] != ["{"]:
            self._at = begin

    def _is_sign(self) -> bool:
        """Return whether a sign stands here that may be an argument without braces."""
        return self._at < len(self._tokens) and self._tokens[self._at].isalnum()

    def _skip_dimension(self) -> None:
        self._skip_spaces()
        rest = "".join(self._tokens[self._at : self._at + _DIMENSION_CHARS])
        if match := _DIMENSION.match(rest):
            self._at += match.end()

    def _skip_spaces(self) -> None:
        while self._at < len(self._tokens) and REPLACEMENTS.get(self._tokens[self._at]) == ():
            self._at += 1

    def _end_of_group(self) -> int:
        """Return the index behind the group that begins here, or this index if there is no complete group."""
        tokens, depth = self._tokens, 0
        for index in range(self._at, len(tokens)):
            if tokens[index] == "{":
                depth += 1
            elif tokens[index] == "}":
                depth -= 1
            if depth <= 0:
                return index + 1 if index > self._at else self._at
        return self._at


def _resolve_dollars(tokens: list[str]) -> list[str]:
    """Drop the dollars that switch to math mode.

    An even number of dollars are switches. Of an odd number, those at the ends are, and one before a digit is money.
    """
    total = tokens.count(_DOLLAR)
    if not total:
        return tokens
    if total % 2:
        tokens = tokens[tokens[0] == _DOLLAR : len(tokens) - (len(tokens) > 1 and tokens[-1] == _DOLLAR)]
        following = [*tokens, ""][1:]
        tokens = ["\\$" if t == _DOLLAR and n.isdigit() else t for t, n in zip(tokens, following, strict=True)]
    return [token for token in tokens if token != _DOLLAR]


def match_braces(tokens: list[str]) -> dict[int, int]:
    """Return the index of the closing brace for the index of each matched opening brace."""
    partners: dict[int, int] = {}
    stack: list[int] = []
    for index, token in enumerate(tokens):
        if token == "{":
            stack.append(index)
        elif token == "}" and stack:
            partners[stack.pop()] = index
    return partners

r"""The contents of ``\text`` and its kin, where a space is a space and ``$`` begins mathematics."""

from latexify.pipeline.latex.tables import REPLACEMENTS

_SPACES = frozenset([" ", "~", "\\ ", "\\quad", "\\qquad", "\\enspace", "\\space"])
SAME_IN_MATH = frozenset(".,;:()!?")
"""Signs that look in text as they do in mathematics."""


def split_text(tokens: list[str]) -> list[tuple[bool, list[str]]]:
    """Split the tokens of a text at its dollars: (whether it is mathematics, tokens).

    Unpaired dollars are dropped, and all of them where a brace stands on the other side of one than its partner.
    """
    if tokens.count("$") % 2 or _has_crossing_dollar(tokens):
        tokens = [token for token in tokens if token != "$"]
    parts: list[tuple[bool, list[str]]] = [(False, [])]
    for token in tokens:
        if token == "$":
            parts.append((not parts[-1][0], []))
        else:
            parts[-1][1].append(token)
    return parts


def _has_crossing_dollar(tokens: list[str]) -> bool:
    depth, depths = 0, [0]
    for token in tokens:
        depth += (token == "{") - (token == "}")
        if token == "$":
            depths.append(depth)
    # between an opening dollar and its closing one, and between two pairs
    return any(depth != depths[0] for depth in depths)


def is_like_math(tokens: list[str]) -> bool:
    """Whether a text reads the same in mathematics: letters and digits alone, or (by mistake) with scripts."""
    return not {"^", "_"}.isdisjoint(tokens) or all(token.isalnum() for token in canonical_text(tokens))


def canonical_text(tokens: list[str]) -> list[str]:
    """Write a text with ``~`` for the spaces between words, and without the others."""
    has_commands = any(token[0] == "\\" and token[1:].isalpha() for token in tokens)
    kept: list[str] = []
    for token in tokens:
        if token in _SPACES:
            after_word = bool(kept) and kept[-1][0] == "\\" and kept[-1][-1].isalpha()
            if kept and kept[-1] != "~" and not (token == " " and after_word):
                kept.append("~")
        elif REPLACEMENTS.get(token) != () and (has_commands or token not in "{}"):
            kept.append(token)
    while kept and kept[-1] == "~":
        kept.pop()
    return kept

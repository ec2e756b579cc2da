r"""A part of a vocabulary, chosen by a user who knows which symbols there can be."""

from collections.abc import Collection
from difflib import get_close_matches
from string import ascii_letters, digits

from latexify.common.errors import LatexifyError
from latexify.pipeline.grammar.kinds import kind_of
from latexify.pipeline.latex import tokenize
from latexify.pipeline.latex.prepare import prepare

GROUPS = {"digits": frozenset(digits), "letters": frozenset(ascii_letters)}
"""Words that stand for many tokens. In LaTeX they would be products of letters."""
NUM_NEAREST = 3  # known tokens that an error names


def select_tokens(selection: str, *, vocabulary: Collection[str]) -> frozenset[str]:
    r"""Return the tokens that a selection permits: words divided by spaces, each a key of `GROUPS` or LaTeX.

    ``digits +-=`` permits ten digits and three signs. What a token cannot do without is permitted with it: the braces
    of arguments, the ``\end`` of a ``\begin`` and its cells.

    Raises LatexifyError, with the nearest known tokens, if the selection is empty or has a token that is not in the
    vocabulary.
    """
    chosen: set[str] = set()
    for word in selection.split():
        if word in GROUPS:
            known = GROUPS[word] & set(vocabulary)
            if not known:
                raise LatexifyError(f"the model knows none of the {word}: choose other symbols")
            chosen |= known
            continue
        for token in tokenize(word):
            chosen |= {_spelt(token)}
    if not chosen:
        raise LatexifyError(f"no symbols are chosen: name some, or one of {', '.join(GROUPS)}")
    unknown = sorted(chosen - set(vocabulary))
    if unknown:
        raise LatexifyError(f"the model cannot write {_listed(unknown, vocabulary)}")
    partners = frozenset[str]().union(*(_partners(kind_of(token)) for token in chosen))
    return frozenset(chosen) | (partners & set(vocabulary))


def _spelt(token: str) -> str:
    r"""Spell a token as the normal form does: ``\leq`` is ``\le``."""
    spelt = prepare([token])
    return spelt[0] if len(spelt) == 1 else token


def _listed(unknown: list[str], vocabulary: Collection[str]) -> str:
    parts = []
    for token in unknown[:5]:
        nearest = get_close_matches(token, sorted(vocabulary), n=NUM_NEAREST, cutoff=0.4)
        parts.append(f"{token} (nearest: {' '.join(nearest)})" if nearest else f"{token} (nothing is like it)")
    return ", ".join(parts) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")


def _partners(kind: str) -> frozenset[str]:
    """Return the tokens that those of a kind cannot do without."""
    if kind in {"^", "_", "{", "}", "text"} or kind.startswith("command"):
        return frozenset("{}[]" if kind.endswith("[") else "{}")
    if kind.startswith(("\\begin{", "\\end{")):
        name = kind.partition("{")[2]
        columns = {*"{}lcr|"} if name == "array}" else set[str]()
        return frozenset({f"\\begin{{{name}", f"\\end{{{name}", "&", "\\\\"} | columns)
    return frozenset()

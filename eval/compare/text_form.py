"""In which form the texts of a file are compared: normalised, as they are, or as MathWriting counts them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from latexify.eval.metrics.edits import Lexer
from latexify.pipeline.latex import join_tokens, normalize, tokenize, tokenize_mathwriting

SAMPLES_LOOKED_AT = 1000
SPACED_SHARE = 0.4
"""Share of spaces among the tokens from which they stand between all tokens; normalised labels have a few percent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextForm:
    """What is done to references and predictions before they are compared, and what their tokens are."""

    is_normalized: bool = True  # whether they are brought into the normal form
    is_compact: bool = False  # whether spaces between tokens are removed first
    is_mathwriting: bool = False  # whether tokens are MathWriting's to the letter; then nothing is normalised

    @property
    def lexer(self) -> Lexer:
        """The function that splits a text into tokens."""
        return tokenize_mathwriting if self.is_mathwriting else tokenize

    @property
    def normalizes(self) -> bool:
        """Whether texts are normalised."""
        return self.is_normalized and not self.is_mathwriting

    @property
    def keeps_spaces(self) -> bool:
        """Whether spaces between tokens count as tokens."""
        return not (self.normalizes or self.is_compact)

    def apply(self, texts: Iterable[str]) -> dict[str, str]:
        """Return the form of each distinct text."""
        forms = {text: compacted(text) if self.is_compact else text for text in set(texts)}
        return {text: normalize(form) for text, form in forms.items()} if self.normalizes else forms


def compacted(text: str) -> str:
    """Join the tokens of a text without spaces, except between a command word and a letter."""
    return join_tokens(token for token in tokenize(text) if not token.isspace())


def is_spaced(texts: Sequence[str]) -> bool:
    """Return whether spaces stand between the tokens of these texts, as other systems write them."""
    tokens = [token for text in texts[:SAMPLES_LOOKED_AT] for token in tokenize(text.strip())]
    return sum(map(str.isspace, tokens)) > SPACED_SHARE * len(tokens)

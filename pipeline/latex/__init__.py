"""LaTeX of formulas: the lexer and the normalizer that all packages use."""

from latexify.pipeline.latex.lexer import TOKEN_PATTERN, join_tokens, tokenize, tokenize_mathwriting
from latexify.pipeline.latex.normalizer import NORMALIZER_VERSION, normalize

__all__ = ["NORMALIZER_VERSION", "TOKEN_PATTERN", "join_tokens", "normalize", "tokenize", "tokenize_mathwriting"]

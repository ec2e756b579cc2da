"""The formats of an answer, by name."""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, get_args

from latexify.common.errors import LatexifyError

Format = Literal["latex", "pretty", "display", "mathml", "typst"]
FORMATS: tuple[Format, ...] = get_args(Format)


def convert(latex: str, target: Format) -> str:
    r"""Write a formula in the normal form (`latexify.pipeline.latex`) in another format, on one line.

    Args:
        latex: The formula, normalised.
        target: ``latex``: as it is. ``pretty``: LaTeX for people, with spaces and delimiters that grow. ``display``:
            that between ``\[`` and ``\]``. ``mathml``: a ``<math>`` element. ``typst``: what stands between dollars.

    Raises:
        LatexifyError: If the format cannot express the formula; the message says what it lacks.
    """
    return _CONVERTERS[target](latex)


def convert_to_each(latex: str, targets: Iterable[Format]) -> tuple[dict[Format, str | None], dict[Format, str]]:
    """Write a formula in several formats: the texts (None where one cannot express it), and the reasons for those."""
    texts: dict[Format, str | None] = {}
    reasons: dict[Format, str] = {}
    for target in targets:
        try:
            texts[target] = convert(latex, target)
        except LatexifyError as error:
            texts[target], reasons[target] = None, str(error)
    return texts, reasons


def _display(latex: str) -> str:
    return rf"\[ {_pretty(latex)} \]"


def _pretty(latex: str) -> str:
    from latexify.serve.formats.pretty import to_pretty  # noqa: PLC0415  # only where it is needed

    return to_pretty(latex)


def _mathml(latex: str) -> str:
    from latexify.serve.formats.mathml import to_mathml  # noqa: PLC0415  # only where it is needed

    return to_mathml(latex)


def _typst(latex: str) -> str:
    from latexify.serve.formats.typst import to_typst  # noqa: PLC0415  # only where it is needed

    return to_typst(latex)


_CONVERTERS: Mapping[Format, Callable[[str], str]] = {
    "latex": str,
    "pretty": _pretty,
    "display": _display,
    "mathml": _mathml,
    "typst": _typst,
}

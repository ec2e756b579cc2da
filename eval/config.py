"""The sections of ``params.yaml`` that belong to the judge. Imports no torch, so that checking them is quick."""

from typing import Annotated, Literal

from annotated_types import Ge

from latexify.common.section import Section


class PredictParams(Section):
    """How the model decodes."""

    split: Literal["valid", "test"] = "test"
    batch_size: Annotated[int, Ge(1)] = 64
    num_beams: Annotated[int, Ge(1)] = 1
    max_new_tokens: Annotated[int, Ge(1)] = 256
    """Upper limit of generated tokens, end token included."""
    constrained: bool = True
    """Whether answers are kept to well-formed LaTeX, where the tokens are LaTeX's (``vocab.tokenizer: latex``)."""


class ScoreParams(Section):
    """How predictions are judged."""

    bootstrap_samples: Annotated[int, Ge(100)] = 2000
    """Resamples behind each 95 % interval."""
    visual: bool = True
    """Whether formulas are typeset, to say how many can be and how alike they look."""


class ReportParams(Section):
    """What the report shows."""

    num_samples: Annotated[int, Ge(1)] = 500
    """Formulas in the gallery, at most: fewer where they would make the file larger than 5 MB."""
    compare_with: str | None = "HEAD"
    """A git revision: the newest run committed up to it is compared with. None: no comparison."""

"""Parameters of the evaluation stages. This module imports no torch, so checking ``params.yaml`` stays quick."""

from typing import Annotated, Literal

from annotated_types import Ge, Le

from latexify.common.section import Later, Section

TRAINED_HERE = "data/model"
"""Value of `predict.model` for the model that the project trains."""


MAX_DRAWINGS = 7
"""As many as `latexify.trainer.inference.voting` makes."""


class PredictParams(Section):
    """Which model predicts, and how it decodes."""

    model: str = TRAINED_HERE
    """Folder of the model, or an installed model (`models/NAME`); only its canvas must fit that of ``rasterize``."""
    split: Literal["valid", "test"] = "test"
    """Split whose inks are predicted."""
    batch_size: Annotated[int, Ge(1)] = 64
    """Pictures in a batch. More need more memory; the predictions do not depend on it."""
    num_beams: Annotated[int, Ge(1)] = 1
    """Beam width; 1 is greedy search, the fastest."""
    num_drawings: Annotated[int, Ge(1), Le(MAX_DRAWINGS), Later()] = 1
    """Drawings of each picture, slanted, stretched or turned a little, whose answers vote. Time grows in proportion."""
    max_new_tokens: Annotated[int, Ge(1)] = 256
    """Upper limit of generated tokens, end token included."""
    constrained: bool = True
    """Whether the search is kept to well-formed LaTeX. Needs LaTeX tokens (``vocab.tokenizer: latex``)."""
    only: Annotated[str | None, Later()] = None
    """The symbols that may be written, divided by spaces: `digits`, `letters`, or LaTeX. None: all. Needs
    `constrained`."""


class ScoreParams(Section):
    """How predictions are scored."""

    bootstrap_samples: Annotated[int, Ge(100)] = 2000
    """Resamples behind each 95 % interval."""
    visual: bool = True
    """Whether to typeset the formulas, to measure how many can be typeset and how similar they look."""


class ReportParams(Section):
    """What the report shows."""

    num_samples: Annotated[int, Ge(1)] = 500
    """Maximum number of formulas in the gallery; fewer if the file would exceed 5 MB."""
    compare_with: str | None = "HEAD"
    """Git revision: the report compares with the newest run committed up to it. None: no comparison."""

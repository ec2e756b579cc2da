"""Load a model for the service."""

from dataclasses import dataclass
from pathlib import Path

from latexify.serve.recognizer import Recognizer
from latexify.trainer.inference.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """What a model is loaded with: see `Recognizer`."""

    model: Path
    device: str | None
    runtime: Runtime | None
    constrained: bool | None
    num_threads: int


def load(options: ModelOptions) -> Recognizer:
    """Load a recogniser and let it read one picture, as the first takes longer than all others.

    Raises LatexifyError if it cannot be loaded.
    """
    recognizer = Recognizer(
        options.model,
        device=options.device,
        runtime=options.runtime,
        constrained=options.constrained,
        num_threads=options.num_threads,
    )
    recognizer.read([recognizer.draw([[[0, 0], [1, 1]]])])
    return recognizer

"""A model's predictions for the samples of a split."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from latexify.artifacts.manifest import Manifest
from latexify.artifacts.names import MODEL
from latexify.common.errors import LatexifyError
from latexify.common.progress import Progress
from latexify.eval.predict.latex_grammar import constraint_for
from latexify.pipeline.latex import normalize
from latexify.shards.format.index import SplitIndex
from latexify.shards.format.sample import Sample
from latexify.shards.reading.reader import SampleReader
from latexify.trainer.inference.constraint import Constraint
from latexify.trainer.inference.decoder import StepDecoder
from latexify.trainer.inference.model import TrainedModel
from latexify.trainer.inference.open import open_model
from latexify.trainer.inference.threads import run_in_threads
from latexify.trainer.model.canvas import Geometry


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """A model with the settings of its search.

    Attributes:
        trained: The model.
        constraint: Constraint of all predictions.
        batch_size: Pictures in a batch.
        max_tokens: Maximum number of tokens, end token included.
        num_beams: Beam width.
    """

    trained: TrainedModel
    constraint: Constraint | None
    batch_size: int
    max_tokens: int
    num_beams: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedSample:
    """The prediction for a sample.

    Attributes:
        row: Row of the index.
        key: Key of the sample.
        label: Label as it is in the InkML.
        reference: Normalised label.
        text: Prediction as the model wrote it.
        latex: Normalised prediction.
        probability: Geometric mean of the probabilities of the tokens, 0 to 1.
        finished: See `Hypothesis`.
        num_tokens: Number of tokens, end token included.
        elapsed_s: Share of its batch's time.
    """

    row: int
    key: str
    label: str
    reference: str
    text: str
    latex: str
    probability: float
    finished: bool
    num_tokens: int
    elapsed_s: float


def open_predictor(  # noqa: PLR0913  # all but the first are named
    model: Path,
    *,
    shards: Manifest,
    device: str | None,
    constrained: bool,
    batch_size: int,
    max_tokens: int,
    num_beams: int,
) -> Predictor:
    """Open a model folder.

    Args:
        model: Model folder.
        shards: Manifest of the shards to predict.
        device: torch's name of a device; None chooses the best one.
        constrained: Predict well-formed LaTeX only, if the vocabulary is LaTeX tokens.
        batch_size: Pictures in a batch.
        max_tokens: Maximum number of tokens, end token included.
        num_beams: Beam width; 1 is greedy search.

    Returns:
        The predictor.

    Raises:
        LatexifyError: If model and shards do not fit each other.
    """
    trained = open_model(model, device=device)
    require_fit(trained, shards, where=model)
    return Predictor(
        trained=trained,
        constraint=constraint_for(model) if constrained else None,
        batch_size=batch_size,
        max_tokens=max_tokens,
        num_beams=num_beams,
    )


def require_fit(trained: TrainedModel, shards: Manifest, *, where: Path) -> None:
    """Raise LatexifyError unless canvas and tokenizer of the shards are the model's. where: folder of the model."""
    geometry = Geometry.from_params(shards.params)
    if trained.geometry != geometry:
        raise LatexifyError(
            f"{where} needs pictures of {_describe(trained.geometry)}, the shards hold {_describe(geometry)}: "
            f"set `rasterize` as it was, or run `{MODEL.producer}` again"
        )
    trained_with, made_with = trained.manifest.inputs.get("tokenizer"), shards.inputs.get("tokenizer")
    if trained_with != made_with:
        raise LatexifyError(
            f"{where} was trained with another tokenizer ({trained_with}) than the shards were made with "
            f"({made_with}): run `{MODEL.producer}` again"
        )


def _describe(geometry: Geometry) -> str:
    return (
        f"{geometry.height_px}x{geometry.width_px} px (margin {geometry.margin_px:g} px, "
        f"pen {geometry.pen_width_px:g} px)"
    )


def decode(
    predictor: Predictor, index: SplitIndex, rows: npt.NDArray[np.int64], *, progress: Progress
) -> Iterator[list[DecodedSample]]:
    """Predict samples, a batch at a time, the longest first.

    Args:
        predictor: The model.
        index: Index of the split.
        rows: Rows of the index, int64 [num_samples].
        progress: Advanced by each batch.

    Yields:
        The predictions of a batch.

    Raises:
        LatexifyError: If a batch does not fit into the device's memory.
    """
    # Samples of similar length share a batch, which takes as long as its longest member. This only affects speed: the
    # prediction for a sample does not depend on the others in its batch.
    order = rows[np.argsort(index.num_tokens[rows], kind="stable")[::-1]]
    with SampleReader(index) as reader:
        starts = range(0, len(order), predictor.batch_size)
        batches = (_Batch.read(reader, order[start : start + predictor.batch_size]) for start in starts)
        for decoded in run_in_threads(partial(_decode_batch, predictor), batches, num_threads=_num_threads(predictor)):
            yield decoded
            progress.advance(len(decoded))


def _num_threads(predictor: Predictor) -> int:
    """Return how many batches run in parallel: onnxruntime has its own threads, a GPU has one memory for all."""
    inference = predictor.trained.inference
    is_torch, is_cpu = isinstance(inference.decoder, StepDecoder), inference.device == "cpu"
    return torch.get_num_threads() if is_torch and is_cpu else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    rows: npt.NDArray[np.int64]
    samples: list[Sample]
    descriptions: list[dict[str, Any]]

    @classmethod
    def read(cls, reader: SampleReader, rows: npt.NDArray[np.int64]) -> "_Batch":
        return cls(rows=rows, samples=reader.read(rows), descriptions=reader.describe(rows))


def _decode_batch(predictor: Predictor, batch: _Batch) -> list[DecodedSample]:
    started = time.perf_counter()
    trained, samples = predictor.trained, batch.samples
    try:
        hypotheses = trained.inference.generate(
            np.stack([sample.pixels for sample in samples]),
            max_tokens=predictor.max_tokens,
            num_beams=predictor.num_beams,
            constraint=predictor.constraint,
        )
    except torch.OutOfMemoryError:
        raise LatexifyError(
            f"{len(samples)} pictures with {predictor.num_beams} beam(s) do not fit into the memory of "
            f"{trained.inference.device}: lower predict.batch_size"
        ) from None
    best = [of_picture[0] for of_picture in hypotheses]
    texts = trained.texts([hypothesis.ids for hypothesis in best])
    elapsed_s = (time.perf_counter() - started) / len(samples)
    return [
        DecodedSample(
            row=row,
            key=sample.key,
            label=description["label"],
            reference=sample.label,
            text=text,
            latex=normalize(text),
            probability=hypothesis.confidence,
            finished=hypothesis.finished,
            num_tokens=len(hypothesis.ids) + hypothesis.finished,
            elapsed_s=elapsed_s,
        )
        for row, sample, description, text, hypothesis in zip(
            batch.rows.tolist(), samples, batch.descriptions, texts, best, strict=True
        )
    ]

"""A model's predictions for samples."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from latexify.common.errors import LatexifyError
from latexify.common.progress import Progress
from latexify.eval.config import PredictParams
from latexify.eval.predict.ranked import Formulas, distinct_formulas
from latexify.eval.predict.samples import EvaluationSample, EvaluationSamples
from latexify.pipeline.latex import normalize
from latexify.shards.reading.plan import batches_by_size
from latexify.trainer.inference.constraint import Constraint
from latexify.trainer.inference.decoder import StepDecoder
from latexify.trainer.inference.model import TrainedModel
from latexify.trainer.inference.open import open_model
from latexify.trainer.inference.threads import run_in_threads
from latexify.trainer.inference.well_formed import constraint_for

_Batch = list[tuple[int, EvaluationSample]]  # row, sample


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """A model with the settings of its search."""

    trained: TrainedModel
    constraint: Constraint | None
    params: PredictParams


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedSample:
    """The prediction for a sample; fields with the names of columns of predictions.parquet hold their values."""

    row: int
    key: str
    label: str
    reference: str
    prediction: str
    prediction_raw: str
    probability: float
    finished: bool  # see `Hypothesis`
    num_tokens: int
    seconds: float
    formulas: Formulas  # all that the search found


def open_predictor(params: PredictParams, *, model: Path, device: str | None) -> Predictor:
    """Open a model folder; `device` is torch's name of a device, None chooses the best one. Raises LatexifyError."""
    trained = open_model(model, device=device)
    constraint = constraint_for(model, only=params.only) if params.constrained else None
    if params.only is not None and constraint is None:
        raise LatexifyError(
            "predict.only limits the symbols of constrained search: set predict.constrained to true, and choose a "
            "model whose tokens are LaTeX tokens"
        )
    return Predictor(trained=trained, constraint=constraint, params=params)


def decode(
    predictor: Predictor, samples: EvaluationSamples, rows: npt.NDArray[np.int64], *, progress: Progress
) -> Iterator[list[DecodedSample]]:
    """Predict the samples of these rows, and yield them a batch at a time, the longest first.

    Raises LatexifyError if a batch does not fit into the device's memory.
    """
    # Samples of similar length share a batch, which takes as long as its longest member. This only affects speed: the
    # prediction for a sample does not depend on the others in its batch.
    order = rows[np.argsort(samples.num_tokens[rows], kind="stable")[::-1]]
    parts = batches_by_size(order, samples.sizes_px, size=predictor.params.batch_size)
    batches = (_read_batch(samples, part) for part in parts)
    for decoded in run_in_threads(partial(_decode_batch, predictor), batches, num_threads=_num_threads(predictor)):
        yield decoded
        progress.advance(len(decoded))


def _num_threads(predictor: Predictor) -> int:
    """Return how many batches run in parallel: onnxruntime has its own threads, a GPU has one memory for all."""
    inference = predictor.trained.inference
    is_torch, is_cpu = isinstance(inference.decoder, StepDecoder), inference.device == "cpu"
    return torch.get_num_threads() if is_torch and is_cpu else 1


def _read_batch(samples: EvaluationSamples, rows: npt.NDArray[np.int64]) -> _Batch:
    return list(zip(rows.tolist(), samples.read(rows), strict=True))


def _decode_batch(predictor: Predictor, batch: _Batch) -> list[DecodedSample]:
    started = time.perf_counter()
    trained, params = predictor.trained, predictor.params
    try:
        hypotheses = trained.inference.generate(
            np.stack([sample.pixels for _, sample in batch]),
            max_tokens=params.max_new_tokens,
            num_beams=params.num_beams,
            num_best=max(params.num_beams, params.num_drawings),
            num_drawings=params.num_drawings,
            constraint=predictor.constraint,
        )
    except torch.OutOfMemoryError:
        raise LatexifyError(
            f"{len(batch)} pictures with {params.num_beams} beam(s) do not fit into the memory of "
            f"{trained.inference.device}: lower predict.batch_size"
        ) from None
    found = iter(trained.texts([hypothesis.ids for of_picture in hypotheses for hypothesis in of_picture]))
    texts = [list(islice(found, len(of_picture))) for of_picture in hypotheses]
    elapsed_s = (time.perf_counter() - started) / len(batch)
    return [
        DecodedSample(
            row=row,
            key=sample.key,
            label=sample.label,
            reference=sample.reference,
            prediction=normalize(of_picture[0]),
            prediction_raw=of_picture[0],
            probability=best.confidence,
            finished=best.finished,
            num_tokens=len(best.ids) + best.finished,
            seconds=elapsed_s,
            formulas=distinct_formulas([best, *others], of_picture),
        )
        for (row, sample), of_picture, (best, *others) in zip(batch, texts, hypotheses, strict=True)
    ]

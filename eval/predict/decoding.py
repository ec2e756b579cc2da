"""A model's answers to the pictures of a split, for whoever judges them or learns from them."""

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
from latexify.trainer.inference.reader import TrainedReader, open_reader
from latexify.trainer.inference.threads import run_in_threads
from latexify.trainer.loop.precision import choose_device
from latexify.trainer.model.canvas import Geometry


@dataclass(frozen=True, kw_only=True)
class Decoder:
    """A model that answers in one way. constraint: what all answers keep to. max_tokens: the end token counts."""

    trained: TrainedReader
    constraint: Constraint | None
    batch_size: int
    max_tokens: int
    num_beams: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was read of a sample.

    row: of the index. label: as found in the InkML; reference: normalised. text: as the model wrote it; latex:
    normalised. probability: 0 to 1, the geometric mean of those of the tokens. num_tokens: end token included.
    elapsed_s: share of its batch's time.
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


def open_decoder(  # noqa: PLR0913  # all but the first are named
    model: Path,
    *,
    shards: Manifest,
    device: str | None,
    constrained: bool,
    batch_size: int,
    max_tokens: int,
    num_beams: int,
) -> Decoder:
    """Load a model folder. shards: manifest of what it is to read. constrained: where the vocabulary is LaTeX.

    Raises LatexifyError where model and shards do not fit each other.
    """
    trained = open_reader(model, device=choose_device(device))
    require_fit(trained, shards, where=model)
    return Decoder(
        trained=trained,
        constraint=constraint_for(model) if constrained else None,
        batch_size=batch_size,
        max_tokens=max_tokens,
        num_beams=num_beams,
    )


def require_fit(trained: TrainedReader, shards: Manifest, *, where: Path) -> None:
    """Raise LatexifyError but where the pictures are drawn like those the model learnt from, with its vocabulary."""
    drawn = Geometry.from_params(shards.params)
    if trained.geometry != drawn:
        raise LatexifyError(
            f"{where} reads pictures of {_describe(trained.geometry)}, the shards hold {_describe(drawn)}: "
            f"set `rasterize` as it was, or run `{MODEL.producer}` again"
        )
    learnt, used = trained.manifest.inputs.get("tokenizer"), shards.inputs.get("tokenizer")
    if learnt != used:
        raise LatexifyError(
            f"{where} was trained with another tokenizer ({learnt}) than the shards were made with ({used}): "
            f"run `{MODEL.producer}` again"
        )


def _describe(geometry: Geometry) -> str:
    return (
        f"{geometry.height_px}x{geometry.width_px} px (margin {geometry.margin_px:g} px, "
        f"pen {geometry.pen_width_px:g} px)"
    )


def decode(
    decoder: Decoder, index: SplitIndex, rows: npt.NDArray[np.int64], *, progress: Progress
) -> Iterator[list[Answer]]:
    """Read the samples of `rows` (int64 [num_samples]), a batch at a time, the longest first.

    Raises LatexifyError where a batch does not fit the device's memory.
    """
    # Samples of like length share a batch, which ends with its longest member. A matter of speed: greedy or with beams,
    # a sample's answer does not depend on its neighbours.
    order = rows[np.argsort(index.num_tokens[rows], kind="stable")[::-1]]
    with SampleReader(index) as reader:
        starts = range(0, len(order), decoder.batch_size)
        batches = (_Batch.read(reader, order[start : start + decoder.batch_size]) for start in starts)
        for answers in run_in_threads(partial(_decode_batch, decoder), batches, num_threads=_num_threads(decoder)):
            yield answers
            progress.advance(len(answers))


def _num_threads(decoder: Decoder) -> int:
    """How many batches to read at a time: onnxruntime has threads of its own, a GPU one memory for all."""
    reader = decoder.trained.reader
    is_torch, is_cpu = isinstance(reader.decoder, StepDecoder), reader.device.type == "cpu"
    return torch.get_num_threads() if is_torch and is_cpu else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """Samples and their descriptions, of these rows of the index: int64 [num_samples]."""

    rows: npt.NDArray[np.int64]
    samples: list[Sample]
    descriptions: list[dict[str, Any]]

    @classmethod
    def read(cls, reader: SampleReader, rows: npt.NDArray[np.int64]) -> "_Batch":
        return cls(rows=rows, samples=reader.read(rows), descriptions=reader.describe(rows))


def _decode_batch(decoder: Decoder, batch: _Batch) -> list[Answer]:
    started = time.perf_counter()
    trained, samples = decoder.trained, batch.samples
    pixels = torch.from_numpy(np.stack([sample.pixels for sample in samples]))
    try:
        found = trained.reader.read(
            pixels, max_tokens=decoder.max_tokens, num_beams=decoder.num_beams, constraint=decoder.constraint
        )
    except torch.OutOfMemoryError:
        raise LatexifyError(
            f"{len(samples)} pictures with {decoder.num_beams} beam(s) do not fit into the memory of "
            f"{trained.reader.device}: lower predict.batch_size"
        ) from None
    best = [hypotheses[0] for hypotheses in found]
    texts = trained.texts([hypothesis.ids for hypothesis in best])
    elapsed_s = (time.perf_counter() - started) / len(samples)
    return [
        Answer(
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

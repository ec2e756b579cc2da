"""Whether a model fits the shards that it is to predict."""

import json
from pathlib import Path

import numpy as np

from latexify.artifacts.manifest import Manifest
from latexify.artifacts.names import MODEL, TOKENIZER, TOKENIZER_NAME
from latexify.common.errors import LatexifyError
from latexify.pipeline.latex import normalize
from latexify.shards.format.index import SplitIndex
from latexify.shards.reading.reader import SampleReader
from latexify.trainer.inference.model import TrainedModel
from latexify.trainer.model.canvas import Geometry

LABELS_CHECKED = 200
MAX_LOST = 0.05
"""Fraction of the labels that a tokenizer may not restore: tokenizers of base models lose some."""


def require_canvas(trained: TrainedModel, shards: Manifest, *, model: Path) -> None:
    """Raise LatexifyError unless the shards hold pictures as the model in the folder `model` needs them."""
    geometry = Geometry.from_params(shards.params)
    if trained.geometry != geometry:
        raise LatexifyError(
            f"{model} needs pictures of {describe(trained.geometry)}, the shards hold {describe(geometry)}: "
            f"set `rasterize` as it was, run `{MODEL.producer}` again, or draw inks anew by `latexify evaluate`"
        )


def require_tokens(trained: TrainedModel, shards: Manifest, *, index: SplitIndex, model: Path) -> None:
    """Raise LatexifyError if the token ids of the shards mean something else to the model: it is of another training.

    The predictions would be right all the same, but not those of the model that these shards are for. Tokenizers are
    compared by what they make of the ids: two of different datasets may be equal.
    """
    if trained.manifest.inputs.get(TOKENIZER.kind) == shards.inputs.get(TOKENIZER.kind):
        return
    rows = np.unique(np.linspace(0, len(index) - 1, min(LABELS_CHECKED, len(index))).astype(np.int64))
    with SampleReader(index) as reader:
        samples = reader.read(rows)
    unknown = _unknown_id(model)
    known = [sample for sample in samples if unknown not in sample.token_ids]
    texts = trained.texts([sample.token_ids[:-1].tolist() for sample in known])
    num_lost = sum(sample.label not in {text, normalize(text)} for sample, text in zip(known, texts, strict=True))
    if num_lost > MAX_LOST * len(known):
        raise LatexifyError(
            f"{model} was trained with another tokenizer than the shards were made with ({num_lost} of {len(known)} "
            f"labels differ): run `{MODEL.producer}` again, or name the model as predict.model to evaluate it as it is"
        )


def _unknown_id(model: Path) -> int | None:
    """Return the id of the unknown token, which stands for text that the tokenizer cannot restore."""
    path = model / TOKENIZER_NAME
    if not path.is_file():
        return None
    tokenizer = json.loads(path.read_text(encoding="utf-8"))["model"]
    unknown = tokenizer.get("unk_token")
    vocabulary = tokenizer.get("vocab")
    return vocabulary.get(unknown) if isinstance(vocabulary, dict) and unknown is not None else None


def describe(geometry: Geometry) -> str:
    """Return a canvas in words."""
    return (
        f"{geometry.height_px}x{geometry.width_px} px (margin {geometry.margin_px:g} px, "
        f"pen {geometry.pen_width_px:g} px{', fitted pictures' if geometry.pictures == 'fitted' else ''})"
    )

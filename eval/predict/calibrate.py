"""Calibrate a trained model: predict validation inks, and fit confidences to how often they are right."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from latexify.artifacts.location import Location
from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import SHARDS
from latexify.common.progress import Progress
from latexify.eval.config import PredictParams
from latexify.eval.metrics.edits import count_edits
from latexify.eval.predict.calibration import (
    BEAMS,
    DRAWINGS,
    GREEDY,
    Calibration,
    Line,
    fit_line,
    write_calibration,
)
from latexify.eval.predict.decoding import Predictor, decode, open_predictor
from latexify.eval.predict.fit import require_canvas
from latexify.eval.predict.samples import ShardSamples
from latexify.pipeline.latex import NORMALIZER_VERSION
from latexify.shards.format.index import SplitIndex, open_split
from latexify.shards.format.train_labels import read_train_labels

MAX_SAMPLES = 2000  # maximum number of inks: enough for the two numbers of a line
MIN_UNSEEN = 150
"""With so many validation inks whose formulas are not in training, a calibration reads only these: the others are
easier than what people write."""
PARAMS = PredictParams(split="valid", batch_size=16, num_beams=1, max_new_tokens=256, constrained=True)
"""Greedy search, in small batches because the training machine may have little memory."""
SEARCHES: Mapping[str, Mapping[str, Any]] = {
    GREEDY: {},
    BEAMS: {"num_beams": 3},
    DRAWINGS: {"num_beams": 3, "num_drawings": 7},
}
"""What stands for each kind of search, as parameters of `predict`."""
NUM_DIGITS = 4  # digits of slope and offset; further ones differ between machines


def run(  # noqa: PLR0913  # all but the model are named
    model: Path,
    *,
    shards: Location,
    seed: int,
    device: str | None,
    max_samples: int = MAX_SAMPLES,
    kinds: Sequence[str] = (GREEDY, BEAMS),
) -> Calibration:
    """Predict validation inks by each kind of search, and write the calibration into the model folder.

    A prediction is right if it has no wrong token, as for the exact match of ``score``. Only inks whose formula is not
    in training are read, if there are at least MIN_UNSEEN.

    Args:
        model: Model folder.
        shards: Shards with a training and a validation split.
        seed: Chooses the inks if there are more than can be read, as for validations.
        device: torch's name of a device; None chooses the best one.
        max_samples: Inks to read, MAX_SAMPLES at most.
        kinds: Of searches, from `SEARCHES`, GREEDY among them.

    Raises:
        LatexifyError: If the model is incomplete, or needs other pictures than the shards hold.
    """
    shards_manifest = read_manifest(shards, SHARDS)
    index = open_split(shards, PARAMS.split)
    rows = _choose(index, _unseen(index, shards), seed=seed, max_samples=min(max_samples, MAX_SAMPLES))
    lines, fingerprint = {}, ""
    with ShardSamples(index) as samples:
        for kind in kinds:
            predictor = open_predictor(PARAMS.model_copy(update=SEARCHES[kind]), model=model, device=device)
            require_canvas(predictor.trained, shards_manifest, model=model)
            with Progress(f"calibrate ({kind})", total=len(rows), unit="inks") as progress:
                lines[kind] = _fit(predictor, samples, rows, progress=progress)
            fingerprint = predictor.trained.manifest.fingerprint
    calibration = Calibration(model=fingerprint, normalizer_version=NORMALIZER_VERSION, searches=lines)
    write_calibration(model, calibration)
    return calibration


def _unseen(index: SplitIndex, shards: Location) -> npt.NDArray[np.int64]:
    """Return the rows whose label is not in the training split; all if there are too few, or nothing is known."""
    train_labels = read_train_labels(shards)
    if train_labels is None:
        return np.arange(len(index))
    unseen = np.flatnonzero(~pc.is_in(index.labels, value_set=train_labels).to_numpy(zero_copy_only=False))
    return unseen if len(unseen) >= MIN_UNSEEN else np.arange(len(index))


def _choose(index: SplitIndex, rows: npt.NDArray[np.int64], *, seed: int, max_samples: int) -> npt.NDArray[np.int64]:
    # raw bits: NumPy guarantees their stream, but not that of `permutation` (NEP 19)
    raw = np.random.Philox(np.random.SeedSequence(seed)).random_raw(len(index))
    return np.sort(rows[np.argsort(raw[rows], kind="stable")[:max_samples]])


def _fit(predictor: Predictor, samples: ShardSamples, rows: npt.NDArray[np.int64], *, progress: Progress) -> Line:
    batches = decode(predictor, samples, rows, progress=progress)
    # unfinished predictions always have confidence 0
    finished = [sample for batch in batches for sample in batch if sample.finished]
    edits = count_edits([sample.reference for sample in finished], [sample.prediction for sample in finished])
    is_right = (edits.symbol_errors == 0).tolist()
    slope, offset = fit_line([sample.probability for sample in finished], is_right) if finished else (1.0, 0.0)
    return Line(
        slope=round(slope, NUM_DIGITS),
        offset=round(offset, NUM_DIGITS),
        num_samples=len(finished),
        num_right=sum(is_right),
    )

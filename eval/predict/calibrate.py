"""Calibrate a trained model: predict validation inks, and fit confidences to how often they are right."""

from pathlib import Path

import numpy as np

from latexify.artifacts.location import Location
from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import SHARDS
from latexify.common.progress import Progress
from latexify.eval.config import PredictParams
from latexify.eval.metrics.edits import count_edits
from latexify.eval.predict.calibration import Calibration, fit_line, write_calibration
from latexify.eval.predict.decoding import decode, open_predictor
from latexify.eval.predict.fit import require_canvas
from latexify.eval.predict.samples import ShardSamples
from latexify.pipeline.latex import NORMALIZER_VERSION
from latexify.shards.format.index import open_split

MAX_SAMPLES = 2000  # maximum number of inks: enough for the two numbers of a line
PARAMS = PredictParams(split="valid", batch_size=16, num_beams=1, max_new_tokens=256, constrained=True)
"""Greedy search, in small batches because the training machine may have little memory."""
NUM_DIGITS = 4  # digits of slope and offset; further ones differ between machines


def run(model: Path, *, shards: Location, seed: int, device: str | None, max_samples: int = MAX_SAMPLES) -> Calibration:
    """Predict validation inks by greedy search, and write the calibration into the model folder.

    A prediction is right if it has no wrong token, as for the exact match of ``score``. At most `max_samples` and
    MAX_SAMPLES inks are read; the seed chooses them if there are more, as for validations. `device` is
    torch's name of a device; None chooses the best one.

    Raises:
        LatexifyError: If the model is incomplete, or needs other pictures than the shards hold.
    """
    shards_manifest = read_manifest(shards, SHARDS)
    index = open_split(shards, PARAMS.split)
    predictor = open_predictor(PARAMS, model=model, device=device)
    require_canvas(predictor.trained, shards_manifest, model=model)
    # raw bits: NumPy guarantees their stream, but not that of `permutation` (NEP 19)
    raw = np.random.Philox(np.random.SeedSequence(seed)).random_raw(len(index))
    rows = np.sort(np.argsort(raw, kind="stable")[: min(max_samples, MAX_SAMPLES)])
    with ShardSamples(index) as samples, Progress("calibrate", total=len(rows), unit="inks") as progress:
        batches = decode(predictor, samples, rows, progress=progress)
        # unfinished predictions always have confidence 0
        finished = [sample for batch in batches for sample in batch if sample.finished]
    edits = count_edits([sample.reference for sample in finished], [sample.prediction for sample in finished])
    is_right = (edits.symbol_errors == 0).tolist()
    slope, offset = fit_line([sample.probability for sample in finished], is_right) if finished else (1.0, 0.0)
    calibration = Calibration(
        slope=round(slope, NUM_DIGITS),
        offset=round(offset, NUM_DIGITS),
        model=predictor.trained.manifest.fingerprint,
        num_samples=len(finished),
        num_right=sum(is_right),
        normalizer_version=NORMALIZER_VERSION,
    )
    write_calibration(model, calibration)
    return calibration

"""Calibration of a trained model: read validation inks, see how often it is right, and write that down beside it."""

from pathlib import Path

import numpy as np

from latexify.artifacts.location import Location
from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import SHARDS
from latexify.common.progress import Progress
from latexify.eval.metrics.edits import count_edits
from latexify.eval.predict.calibration import Calibration, fit_line, write_calibration
from latexify.eval.predict.decoding import decode, open_decoder
from latexify.pipeline.latex import NORMALIZER_VERSION
from latexify.shards.format.index import open_split

MAX_SAMPLES = 2000
"""Read at most: the two numbers of a line are known well enough by then."""
BATCH_SIZE = 16
"""Small, for the memory of whatever machine has just trained."""
MAX_TOKENS = 256
NUM_DIGITS = 4
"""Of slope and offset: further ones differ from machine to machine, and say nothing."""


def run(model: Path, *, shards: Location, seed: int, device: str | None) -> Calibration:
    """Read up to MAX_SAMPLES validation inks with the model folder `model`, greedily; write its calibration into it.

    seed: which inks, where there are more. Right is what has no wrong token, as in the exact match of ``score``.

    Raises LatexifyError where the model is not whole, or does not fit the shards.
    """
    shards_manifest = read_manifest(shards, SHARDS)
    index = open_split(shards, "valid")
    decoder = open_decoder(
        model,
        shards=shards_manifest,
        device=device,
        constrained=True,
        batch_size=BATCH_SIZE,
        max_tokens=MAX_TOKENS,
        num_beams=1,
    )
    # raw bits: unlike that of `permutation`, NumPy promises their stream for ever (NEP 19)
    raw = np.random.Philox(np.random.SeedSequence(seed)).random_raw(len(index))
    rows = np.sort(np.argsort(raw, kind="stable")[:MAX_SAMPLES])
    with Progress("calibrate", total=len(rows), unit="inks") as progress:
        batches = decode(decoder, index, rows, progress=progress)
        # what never ended is not sure at all, and needs no calibration
        answers = [answer for batch in batches for answer in batch if answer.finished]
    edits = count_edits([answer.reference for answer in answers], [answer.latex for answer in answers])
    is_right = (edits.symbol_errors == 0).tolist()
    probabilities = [answer.probability for answer in answers]
    slope, offset = fit_line(probabilities, is_right) if answers else (1.0, 0.0)
    calibration = Calibration(
        slope=round(slope, NUM_DIGITS),
        offset=round(offset, NUM_DIGITS),
        model=decoder.trained.manifest.fingerprint,
        num_samples=len(answers),
        num_right=sum(is_right),
        normalizer_version=NORMALIZER_VERSION,
    )
    write_calibration(model, calibration)
    return calibration

"""Voting over drawings, against rescoring what all drawings found in each of them.

    python -m benchmarks.studies.pooled_rescoring data/inks [--model M] [--beams 3] [--drawings 7]

The inks are those of the validation split whose formulas are not in training. Rescoring pools the answers of all
drawings; each answer has the mean of its log-probabilities, from left to right and from right to left, over all
drawings, as a sum or per token. The model must have learned both directions.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.machine import in_a_line
from latexify.common.package_data import default_model
from latexify.common.progress import Progress
from latexify.pipeline.drawing.draw import draw_ink
from latexify.pipeline.inks.ink import Ink
from latexify.pipeline.inks.table import read_inks
from latexify.pipeline.latex import normalize
from latexify.serve.recognizer import canvas_of
from latexify.shards.reading.plan import batches_by_size
from latexify.trainer.inference.beams import beam_search
from latexify.trainer.inference.model import TrainedModel
from latexify.trainer.inference.open import open_model
from latexify.trainer.inference.rescore import backward_scores, rescore
from latexify.trainer.inference.search import Hypothesis, Search
from latexify.trainer.inference.voting import redraw, vote
from latexify.trainer.inference.well_formed import constraint_for

BATCH_SIZE = 16
MAX_TOKENS = 256


def new_inks(folder: Path) -> list[Ink]:
    """Return the validation inks whose formulas are not in training."""
    trained: set[str] = set()
    valid: list[Ink] = []
    for ink in read_inks(folder):
        if ink.split == "train":
            trained.add(ink.normalized_label)
        elif ink.split == "valid":
            valid.append(ink)
    return [ink for ink in valid if ink.normalized_label not in trained]


def answers(
    trained: TrainedModel, inks: Sequence[Ink], search: Search, *, num_drawings: int
) -> Iterator[tuple[Ink, dict[str, list[str]]]]:
    """Yield each ink with the LaTeX that each way chooses; `pooled` has all candidates."""
    pictures = [draw_ink(ink.strokes, canvas_of(trained.geometry)) for ink in inks]
    order = np.argsort([np.count_nonzero(picture < 128) for picture in pictures], kind="stable")
    sizes_px = np.array([picture.shape for picture in pictures], np.int32)
    for rows in batches_by_size(order, sizes_px, size=BATCH_SIZE):
        pixels = np.stack([pictures[row] for row in rows])
        for row, found in zip(rows.tolist(), _of_batch(trained, pixels, search, num_drawings), strict=True):
            yield inks[row], {way: [normalize(text) for text in trained.texts(ids)] for way, ids in found.items()}


def _of_batch(
    trained: TrainedModel, pixels: npt.NDArray[np.uint8], search: Search, num_drawings: int
) -> list[dict[str, list[list[int]]]]:
    model = trained.inference
    assert model.backward_start_id is not None
    size_px = trained.geometry.a_step_larger(*pixels.shape[1:])
    encoded = [model.encode(redraw(pixels, number, size_px=size_px)) for number in range(num_drawings)]
    ends: dict[str, Any] = {"start_id": model.backward_start_id, "end_id": model.end_id}
    found = [rescore(model.decoder, each, beam_search(model.decoder, each, search), **ends) for each in encoded]
    pools = [_pool([of_drawing[row] for of_drawing in found]) for row in range(len(pixels))]
    # what scores from right to left also scores the reversed sequences from left to right
    mirrored = [[ids[::-1] for ids in pool] for pool in pools]
    both = [
        [
            backward_scores(model.decoder, each, pools, **ends),
            backward_scores(model.decoder, each, mirrored, start_id=model.start_id, end_id=model.end_id),
        ]
        for each in encoded
    ]
    voted = vote(found)
    results = []
    for row, pool in enumerate(pools):
        score = np.mean([[direction[row] for direction in of_drawing] for of_drawing in both], axis=(0, 1))
        per_token = score / np.array([len(ids) + 1 for ids in pool])
        results.append(
            {
                "one drawing": [found[0][row][0].ids],
                "vote": [voted[row][0].ids],
                "rescored, sum": [pool[int(score.argmax())]],
                "rescored, per token": [pool[int(per_token.argmax())]],
                "pooled": pool,
            }
        )
    return results


def _pool(found: Sequence[Sequence[Hypothesis]]) -> list[list[int]]:
    """Return the sequences that the drawings of a picture gave; those that came to their end, if there are any."""
    every = {tuple(each.ids): each.finished for of_drawing in found for each in of_drawing}
    finished = [list(ids) for ids, is_finished in every.items() if is_finished]
    return finished or [list(ids) for ids in every]


def main() -> None:
    """Print how many inks each way reads right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inks", type=Path)
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--beams", type=int, default=3)
    parser.add_argument("--drawings", type=int, default=7)
    options = parser.parse_args()
    folder = options.model or default_model()
    trained = open_model(folder, num_threads=1)
    if trained.inference.backward_start_id is None:
        sys.exit(f"pooled_rescoring: {folder} has not learned both directions")
    search = Search(
        start_id=trained.inference.start_id,
        end_id=trained.inference.end_id,
        max_tokens=min(MAX_TOKENS, trained.inference.decoder.max_positions - 1),
        num_beams=options.beams,
        num_best=options.beams,
        stop_loops=True,
        constraint=constraint_for(folder),
    )
    inks = new_inks(options.inks)
    right: Counter[str] = Counter()
    with Progress("pooled_rescoring", total=len(inks), unit="inks") as progress:
        for ink, found in answers(trained, inks, search, num_drawings=options.drawings):
            right.update(way for way, texts in found.items() if ink.normalized_label in texts)
            progress.advance()
    print(f"{len(inks)} validation inks of new formulas, {options.beams} beams, {options.drawings} drawings")
    print(f"{in_a_line()}\n\n| chosen by | right |\n|---|---:|")
    for way in ("one drawing", "vote", "rescored, sum", "rescored, per token"):
        print(f"| {way} | {right[way]} |")
    print(f"| the right one of all that was found | {right['pooled']} |")


if __name__ == "__main__":
    main()

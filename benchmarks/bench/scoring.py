"""Time and peak memory of `latexify score FILE` on a million predictions."""

import random
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.bench.cores import num_cpus
from benchmarks.bench.measured import Measured, Target, say
from benchmarks.bench.memory import run_watched
from latexify.pipeline.latex import join_tokens, tokenize

SHARE_RIGHT = 0.6
"""Share of predictions that are right: what a good model reaches on MathWriting."""
MAX_EDITS = 4
LIMIT_S, LIMIT_MIB = 60, 2048


def write_predictions(path: Path, labels: Sequence[str], *, num_pairs: int, seed: int = 1) -> None:
    """Write a table of `num_pairs` references, nearly all distinct, and predictions with up to MAX_EDITS token errors.

    Each reference is a label with one token replaced, because repeated texts would be normalised only once.
    """
    rng = random.Random(seed)
    formulas = [[token for token in tokenize(label) if not token.isspace()] for label in labels]
    tokens = sorted({token for formula in formulas for token in formula})
    references, predictions = [], []
    for number in range(num_pairs):
        reference = list(formulas[number % len(formulas)])
        reference[rng.randrange(len(reference))] = rng.choice(tokens)
        prediction = list(reference)
        if rng.random() > SHARE_RIGHT:
            for _ in range(rng.randint(1, MAX_EDITS)):
                start = rng.randrange(len(prediction) + 1)
                prediction[start : start + rng.randint(0, 1)] = rng.choices(tokens, k=rng.randint(0, 1))
        references.append(join_tokens(reference))
        predictions.append(join_tokens(prediction))
    keys = [f"bench/{number:07d}" for number in range(num_pairs)]
    pq.write_table(pa.table({"key": keys, "reference": references, "prediction": predictions}), path)


def time_score(path: Path, *, normalize: bool, jobs: int) -> dict[str, float]:
    """Measure the seconds to score the file."""
    # imported in the watched process, so that imports count towards its memory
    from latexify.eval.compare.files import score_files  # noqa: PLC0415
    from latexify.eval.compare.text_form import TextForm  # noqa: PLC0415
    from latexify.eval.config import ScoreParams  # noqa: PLC0415

    started = time.perf_counter()
    score_files(ScoreParams(), files=[path], seed=1, form=TextForm(is_normalized=normalize), jobs=jobs)
    return {"seconds": time.perf_counter() - started}


def run(
    labels: Sequence[str], *, folder: Path, num_pairs: int, repeats: int, name: str
) -> tuple[list[Measured], list[Target]]:
    """Score `num_pairs` predictions on all cores, with and without normalising them."""
    folder.mkdir(parents=True)
    path = folder / "predictions.parquet"
    write_predictions(path, labels, num_pairs=num_pairs)
    jobs = num_cpus()
    measured, targets = [], []
    for how, normalize in (("normalised", True), ("as they stand", False)):
        times, peaks = [], []
        for turn in range(repeats):
            result, peak = run_watched(time_score, path, normalize=normalize, jobs=jobs)
            times.append(result["seconds"])
            peaks.append(peak.parent_mib + (jobs * peak.worker_mib if normalize else 0))
            say(f"scoring {num_pairs:,} pairs, {how}: round {turn + 1} of {repeats}", times[-1])
        title = f"scoring {num_pairs:,} predictions, {how}"
        measured += [
            Measured(part="scoring", name=title, unit="s", values=times, inks=name, cores=jobs),
            Measured(part="scoring", name=f"{title}: memory", unit="MiB", values=peaks, inks=name, cores=jobs),
        ]
        seconds, memory = measured[-2].median, measured[-1].median
        limits = {"unit": "s", "limit": LIMIT_S * num_pairs / 1e6}, {"unit": "MiB", "limit": LIMIT_MIB}
        targets += [
            Target(name=title, value=seconds, at_least=False, inks=name, **limits[0]),  # type: ignore[arg-type]
            Target(name=f"{title}: memory", value=memory, at_least=False, inks=name, **limits[1]),  # type: ignore[arg-type]
        ]
    return measured, targets

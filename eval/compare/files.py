"""``latexify score FILE …``: judge tables of predictions, whoever made them, and compare them with each other."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

from latexify.artifacts.files import write_json
from latexify.common.errors import LatexifyError
from latexify.eval.compare import compare
from latexify.eval.compare.columns import ColumnNames, Pairs, read_pairs
from latexify.eval.config import ScoreParams
from latexify.eval.metrics.appearance import Appearance, judge_appearance
from latexify.eval.metrics.edits import PAIRS_AT_ONCE, Edits, count_edits
from latexify.eval.metrics.visual import VisualJudge
from latexify.eval.score.summary import describe as describe_one
from latexify.eval.score.summary import summarize
from latexify.eval.score.tables import tables_of, write_tables
from latexify.pipeline import latex

WORTH_PROCESSES = 50_000
"""Pairs from which starting processes takes less time than it saves."""
MAX_FILES = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class _System:
    """One file, read, brought into the order of the first, and judged."""

    name: str
    pairs: Pairs
    edits: Edits
    appearance: Appearance | None


def run(  # noqa: PLR0913  # all are named
    params: ScoreParams,
    *,
    files: Sequence[Path],
    seed: int,
    names: ColumnNames | None = None,
    normalize: bool = True,
    visual: bool = False,
    jobs: int = 1,
    out: Path | None = None,
) -> dict[str, Any]:
    """Judge each file of references and predictions (.parquet, .csv, .jsonl); compare all with the first.

    normalize: bring both columns into the normal form first; otherwise they are compared as they stand. visual: set the
    formulas and compare what they look like, some milliseconds a pair. jobs: processes that normalise and count; the
    result does not depend on it. out: a folder for score.json and, of a single file, the tables of `latexify.eval.score.tables`.

    Returns, of one file, what `latexify.eval.score.summary.summarize` does; of several, {"systems": {name: the same}, "differences":
    {name: {rate: value, low, high, p_value of the rate less the first file's}}}.

    Raises LatexifyError where a file cannot be used, or the files are not of the same samples.
    """
    if len(files) > MAX_FILES:
        raise LatexifyError(f"{len(files)} files are too many to compare: at most {MAX_FILES}")
    systems: list[_System] = []
    judge = VisualJudge()
    for path, name in zip(files, _names(files), strict=True):
        pairs = read_pairs(path, names=names or ColumnNames())
        if systems:
            pairs = compare.in_order_of(systems[0].pairs, pairs, names=(str(files[0]), str(path)))
        pairs, edits = _counted(pairs, normalize=normalize, jobs=jobs)
        if systems:
            kept = systems[0].pairs
            both = (str(files[0]), str(path))
            compare.require_same_references(kept.references, pairs.references, keys=kept.keys, names=both)
        appearance = judge_appearance(pairs.references, pairs.predictions, judge=judge) if visual else None
        systems.append(_System(name=name, pairs=pairs, edits=edits, appearance=appearance))
    result = _result(systems, params=params, seed=seed, is_normalized=normalize)
    if out is not None:
        write_json(out / "score.json", result)
        if len(systems) == 1:
            _write_tables(out, systems[0], params=params, seed=seed)
    return result


def describe(result: dict[str, Any]) -> str:
    """What :func:`run` found, for a terminal."""
    return compare.describe_comparison(result) if "systems" in result else describe_one(result)


def _names(files: Sequence[Path]) -> list[str]:
    """File names where they tell the files apart, else paths."""
    names = [path.name for path in files]
    if len(set(names)) < len(names):
        names = [str(path) for path in files]
    if len(set(names)) < len(names):
        raise LatexifyError("the same file is named twice: name files with different predictions")
    return names


def _counted(pairs: Pairs, *, normalize: bool, jobs: int) -> tuple[Pairs, Edits]:
    """The pairs, normalised where they are to be, and the edits of each."""
    num_pairs = len(pairs.references)
    workers = jobs if num_pairs > WORTH_PROCESSES else 1
    blocks = Parallel(n_jobs=workers, return_as="generator")(
        delayed(_count_block)(
            pairs.references[start : start + PAIRS_AT_ONCE],
            pairs.predictions[start : start + PAIRS_AT_ONCE],
            normalize=normalize,
        )
        for start in range(0, num_pairs, PAIRS_AT_ONCE)
    )
    references: list[str] = []
    predictions: list[str] = []
    edits = []
    for block_references, block_predictions, block_edits in blocks:
        references += block_references
        predictions += block_predictions
        edits.append(block_edits)
    return Pairs(references=references, predictions=predictions, keys=pairs.keys), Edits.joined(edits)


def _count_block(
    references: list[str], predictions: list[str], *, normalize: bool
) -> tuple[list[str], list[str], Edits]:
    if normalize:
        # labels repeat, and predictions are often their references
        known = {text: latex.normalize(text) for text in {*references, *predictions}}
        references, predictions = ([known[text] for text in texts] for texts in (references, predictions))
    return references, predictions, count_edits(references, predictions)


def _result(systems: Sequence[_System], *, params: ScoreParams, seed: int, is_normalized: bool) -> dict[str, Any]:
    resampling: dict[str, Any] = {"num_resamples": params.bootstrap_samples, "seed": seed}
    found = {
        one.name: summarize(
            one.edits,
            one.pairs.references,
            appearance=one.appearance,
            where=one.name,
            is_normalized=is_normalized,
            **resampling,
        )
        for one in systems
    }
    first, *others = systems
    if not others:
        return found[first.name]
    differences = {}
    for other in others:
        apart = compare.differences(first.edits, other.edits, **resampling)
        if first.appearance is not None and other.appearance is not None:
            looks = (first.appearance.rates(), other.appearance.rates())
            apart |= compare.appearance_differences(*looks, **resampling)
        differences[other.name] = {name: asdict(value) for name, value in apart.items()}
    return {"systems": found, "differences": differences}


def _write_tables(out: Path, system: _System, *, params: ScoreParams, seed: int) -> None:
    pairs = system.pairs
    tables = tables_of(
        system.edits,
        pairs.references,
        pairs.predictions,
        keys=None if pairs.keys is None else pairs.keys.to_pylist(),
        writers=None,
        num_resamples=params.bootstrap_samples,
        seed=seed,
    )
    write_tables(out, tables)

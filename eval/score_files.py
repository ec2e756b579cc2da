"""``latexify score FILE …``: judge tables of predictions, whoever made them, and compare them with each other."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

from eval import compare
from eval.appearance import Appearance, judge_appearance
from eval.columns import ColumnNames, Pairs, read_pairs
from eval.config import ScoreParams
from eval.metrics import Edits, count_edits
from eval.score_tables import tables_of, write_tables
from eval.summary import describe as describe_one
from eval.summary import summarize
from pipeline import latex
from shards.errors import LatexifyError
from shards.files import write_json

TEXTS_AT_ONCE = 10_000
WORTH_PROCESSES = 50_000
"""Texts from which starting processes to normalise them takes less time than it saves."""
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
    formulas and compare what they look like, some milliseconds a pair. jobs: processes that normalise; the result does
    not depend on it. out: a folder for score.json and, of a single file, the tables of `eval.score_tables`.

    Returns, of one file, what `eval.summary.summarize` does; of several, {"systems": {name: the same}, "differences":
    {name: {rate: value, low, high, p_value of the rate less the first file's}}}.

    Raises LatexifyError where a file cannot be used, or the files are not of the same samples.
    """
    if len(files) > MAX_FILES:
        raise LatexifyError(f"{len(files)} files are too many to compare: at most {MAX_FILES}")
    systems: list[_System] = []
    for path, name in zip(files, _names(files), strict=True):
        pairs = read_pairs(path, names=names or ColumnNames())
        if systems:
            pairs = compare.in_order_of(systems[0].pairs, pairs, names=(str(files[0]), str(path)))
        if normalize:
            pairs = _normalized(pairs, jobs=jobs)
        if systems:
            kept = systems[0].pairs
            both = (str(files[0]), str(path))
            compare.require_same_references(kept.references, pairs.references, keys=kept.keys, names=both)
        edits = count_edits(pairs.references, pairs.predictions)
        appearance = judge_appearance(pairs.references, pairs.predictions) if visual else None
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


def _normalized(pairs: Pairs, *, jobs: int) -> Pairs:
    """Normalise every text once: predictions are often their references, and labels repeat."""
    distinct = list(dict.fromkeys([*pairs.references, *pairs.predictions]))
    blocks = [distinct[start : start + TEXTS_AT_ONCE] for start in range(0, len(distinct), TEXTS_AT_ONCE)]
    workers = jobs if len(distinct) > WORTH_PROCESSES else 1
    normal_forms = Parallel(n_jobs=workers)(delayed(_normalize_all)(block) for block in blocks)
    known = dict(zip(distinct, (text for block in normal_forms for text in block), strict=True))
    return Pairs(
        references=[known[text] for text in pairs.references],
        predictions=[known[text] for text in pairs.predictions],
        keys=pairs.keys,
    )


def _normalize_all(texts: Sequence[str]) -> list[str]:
    return [latex.normalize(text) for text in texts]


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

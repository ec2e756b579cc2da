"""``latexify score FILE …``: scores prediction files from any system and compares them with each other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

from latexify.artifacts.files import write_json
from latexify.common.errors import LatexifyError
from latexify.eval.compare.columns import ColumnNames, Pairs, read_pairs
from latexify.eval.compare.compare import align, format_comparison, require_same_references
from latexify.eval.compare.text_form import TextForm, is_spaced
from latexify.eval.config import ScoreParams
from latexify.eval.metrics.edits import PAIRS_AT_ONCE, Edits, count_edits
from latexify.eval.metrics.rates import rate_differences
from latexify.eval.metrics.visual import VisualScorer, measure_appearance
from latexify.eval.score.summary import System, format_summary, summarize
from latexify.eval.score.tables import build_tables, write_tables

WORTH_PROCESSES = 50_000  # number of pairs from which starting processes saves more time than it costs
MAX_FILES = 26


def score_files(  # noqa: PLR0913  # all but the first are keyword-only
    params: ScoreParams,
    *,
    files: Sequence[Path],
    seed: int,
    names: ColumnNames | None = None,
    form: TextForm | None = None,
    visual: bool = False,
    jobs: int = 1,
    out: Path | None = None,
    notify: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Score each file of references and predictions (.parquet, .csv, .json …); compare all with the first.

    Args:
        params: The section ``score`` of params.yaml.
        files: At most MAX_FILES files with the same samples.
        seed: Random seed of the bootstrap.
        names: Column names; the defaults of ColumnNames if None.
        form: What is done to references and predictions first; they are normalised if None.
        visual: Whether to typeset the formulas and compare how they look; takes some milliseconds per pair.
        jobs: Processes that normalise and count. The result does not depend on it.
        out: Folder for score.json and, for a single file, the tables of `latexify.eval.score.tables`.
        notify: Gets a line for each file whose figures may not mean what the reader thinks.

    Returns:
        For one file, the result of `latexify.eval.score.summary.summarize`. For several, {"systems": {name: the same},
        "differences": {name: {rate: value, low, high, p_value of its difference from the first file's rate}}}.

    Raises:
        LatexifyError: If a file cannot be used, or the files do not have the same samples.
    """
    if len(files) > MAX_FILES:
        raise LatexifyError(f"{len(files)} files are too many to compare: at most {MAX_FILES}")
    systems: list[System] = []
    scorer, names, form = VisualScorer(), names or ColumnNames(), form or TextForm()
    for path, name in zip(files, _names(files), strict=True):
        pairs = read_pairs(path, names=names)
        if notify is not None:
            _look_for_spaces(path, pairs, names=names, form=form, notify=notify)
        both = (str(files[0]), str(path))
        if systems:
            pairs = align(systems[0].pairs, pairs, names=both)
        pairs, edits = _counted(pairs, form=form, jobs=jobs)
        if systems:
            first = systems[0].pairs
            require_same_references(first.references, pairs.references, keys=first.keys, names=both)
        appearance = None
        if visual:
            appearance = measure_appearance(pairs.references, pairs.predictions, scorer=scorer, jobs=jobs)
        systems.append(System(name=name, pairs=pairs, edits=edits, appearance=appearance, form=form))
    resampling: dict[str, Any] = {"num_resamples": params.bootstrap_samples, "seed": seed}
    result = compare_systems(systems, resampling)
    if out is not None:
        write_json(out / "score.json", result)
        if len(systems) == 1:
            write_tables(out, build_tables(systems[0], **resampling))
    return result


def format_result(result: dict[str, Any]) -> str:
    """Format the result of :func:`score_files` for a terminal."""
    return format_comparison(result) if "systems" in result else format_summary(result)


def _names(files: Sequence[Path]) -> list[str]:
    """File names if they are distinct, else paths."""
    names = [path.name for path in files]
    if len(set(names)) < len(names):
        names = [str(path) for path in files]
    if len(set(names)) < len(names):
        raise LatexifyError("the same file is named twice: name different files to compare")
    return names


def _look_for_spaces(
    path: Path, pairs: Pairs, *, names: ColumnNames, form: TextForm, notify: Callable[[str], None]
) -> None:
    """Say where tokens are separated by spaces: each space would count as a token that is always right."""
    columns = {names.reference: pairs.references, names.prediction: pairs.predictions}
    spaced = [repr(name) for name, texts in columns.items() if form.keeps_spaces and is_spaced(texts)]
    if spaced:
        notify(
            f"{path}: about half of all tokens in {' and '.join(spaced)} are spaces, which count as tokens: "
            "compact them first, with --compact"
        )


def _counted(pairs: Pairs, *, form: TextForm, jobs: int) -> tuple[Pairs, Edits]:
    """The pairs in the form in which they are compared, and their edit counts."""
    num_pairs = len(pairs.references)
    workers = jobs if num_pairs > WORTH_PROCESSES else 1
    blocks = Parallel(n_jobs=workers, return_as="generator")(
        delayed(_count_block)(
            pairs.references[start : start + PAIRS_AT_ONCE],
            pairs.predictions[start : start + PAIRS_AT_ONCE],
            form=form,
        )
        for start in range(0, num_pairs, PAIRS_AT_ONCE)
    )
    references, predictions, edits = zip(*blocks, strict=True)
    counted = Pairs(
        references=list(chain.from_iterable(references)),
        predictions=list(chain.from_iterable(predictions)),
        keys=pairs.keys,
    )
    return counted, Edits.joined(edits)


def _count_block(
    references: list[str], predictions: list[str], *, form: TextForm
) -> tuple[list[str], list[str], Edits]:
    # labels repeat, and predictions often equal their references
    known = form.apply([*references, *predictions])
    references, predictions = ([known[text] for text in texts] for texts in (references, predictions))
    return references, predictions, count_edits(references, predictions, lexer=form.lexer)


def compare_systems(systems: Sequence[System], resampling: Mapping[str, Any]) -> dict[str, Any]:
    """Summarise systems on the same samples, in the same order: the result of :func:`score_files`.

    `resampling` holds the keyword arguments `num_resamples` and `seed`.
    """
    summaries = {system.name: summarize(system, **resampling) for system in systems}
    first, *others = systems
    if not others:
        return summaries[first.name]
    differences = {}
    for other in others:
        found = rate_differences(first.columns(), other.columns(), **resampling)
        differences[other.name] = {name: asdict(difference) for name, difference in found.items()}
    return {"systems": summaries, "differences": differences}

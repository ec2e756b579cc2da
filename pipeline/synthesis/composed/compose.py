"""Composes inks for a dataset: cuts its training inks and writes new ones, in parallel, into a tar or a folder."""

import itertools
import pickle
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from joblib import delayed

from latexify.artifacts.location import Location
from latexify.common.errors import LatexifyError
from latexify.common.progress import Progress
from latexify.pipeline.config import ComposedParams
from latexify.pipeline.engine.engine import Call, Engine
from latexify.pipeline.inkml.writer import write_archive
from latexify.pipeline.inputs.inputs import SourcePlan, resolve_path
from latexify.pipeline.synthesis.composed.bank import Bank
from latexify.pipeline.synthesis.composed.boxed import BoxedFormulas, read_boxed, write_boxed
from latexify.pipeline.synthesis.composed.composition import ComposedInk, Composer
from latexify.pipeline.synthesis.composed.filling import fill_bank
from latexify.pipeline.synthesis.composed.gathering import Material, gather
from latexify.pipeline.synthesis.composed.labels import LabelRules, LabelSource, usable_formulas
from latexify.pipeline.synthesis.composed.recombining import Recombiner
from latexify.pipeline.synthesis.composed.symbol_files import SymbolFiles, font_symbols, read_lines, read_symbol_files

INKS_PER_TASK = 200
"""Without influence on the bytes."""
FOLDER = "composed"
"""Folder of the inks in their tar."""
LINES_PER_TASK = 5_000
"""Lines of a list of formulas."""
_PREPARED, _BOXES = "prepared.pickle", "boxes.arrow"


class Prepared(NamedTuple):
    """What all workers need.

    training: number of inks of each training label. listed: formulas of lists. The annotations are names for ingest.
    """

    params: ComposedParams
    seed: int
    label_annotation: str
    writer_annotation: str
    bank: Bank
    rules: LabelRules
    training: Mapping[str, int]
    listed: Sequence[str]


def compose(  # noqa: PLR0913  # what, from what, where to, how
    params: ComposedParams, *, plan: SourcePlan, base: Path, raw: Location, seed: int, out: Path, engine: Engine
) -> dict[str, Any]:
    """Write `params.num_inks` composed inks.

    The bytes depend on the dataset, `params` and `seed` alone. Symbols and labels of validation and test inks are not
    used. The output is written completely or not at all.

    Args:
        params: What to compose.
        plan: The dataset as `source` describes it.
        base: The source folder.
        raw: Folder of the files that `params` names.
        seed: Random seed.
        out: Tar to write, or a folder unless its name ends in `.tar`.
        engine: Where the inks are read and composed.

    Returns:
        Counts: inks by the part of the label mix, symbols, writers, and refused formulas by reason.

    Raises:
        LatexifyError: If data is missing or damaged, or if there is nothing to compose.
    """
    files = read_symbol_files([resolve_path(path, raw=raw) for path in params.symbol_files])
    material = gather(plan, base=base, divisions=files.divisions, engine=engine)
    refused: Counter[str] = Counter()
    origins: Counter[str] = Counter()
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
    try:
        prepared = _prepared(params, material, files, plan=plan, raw=raw, seed=seed, engine=engine, refused=refused)
        (folder / _PREPARED).write_bytes(pickle.dumps(prepared))
        box_files = [resolve_path(path, raw=raw) for path in params.box_files]
        boxed = (formula for path in box_files for formula in read_boxed(read_lines(path), path=path))
        counts = {
            "training_inks": len(material.inks),
            "symbols": len(prepared.bank.token),
            "tokens": len(prepared.rules.symbols),
            "writers": len(prepared.bank.writers),
            "listed_formulas": len(prepared.listed),
            "boxed_formulas": write_boxed(folder / _BOXES, boxed),
        }
        batches = engine.run(_calls(params.num_inks, folder=folder.absolute()), in_order=True)
        with Progress("source", total=params.num_inks, unit="inks composed") as progress:
            write_archive(out, _members(batches, origins, refused, progress))
    finally:
        shutil.rmtree(folder)
    return {"inks": dict(sorted(origins.items())), **counts, "refused": dict(refused.most_common())}


def describe(counts: Mapping[str, Any]) -> str:
    """The counts of `compose` as a sentence."""
    origins = ", ".join(f"{name} {count}" for name, count in counts["inks"].items())
    why = ", ".join(f"{reason} ({count})" for reason, count in list(counts["refused"].items())[:5])
    return (
        f"{sum(counts['inks'].values())} inks ({origins}) of {counts['symbols']} symbols of {counts['tokens']} kinds "
        f"by {counts['writers']} writers, cut from {counts['training_inks']} training inks; "
        f"{sum(counts['refused'].values())} formulas could not be used{f', mostly: {why}' if why else ''}"
    )


def _prepared(  # noqa: PLR0913  # all that goes in
    params: ComposedParams,
    material: Material,
    files: SymbolFiles,
    *,
    plan: SourcePlan,
    raw: Location,
    seed: int,
    engine: Engine,
    refused: Counter[str],
) -> Prepared:
    extra = files.symbols
    if params.stroke_font:
        known = {symbol.token for ink in material.inks for symbol in ink.symbols} | {symbol.token for symbol in extra}
        extra = [*extra, *font_symbols(frozenset(known), seed=seed)]
    bank = fill_bank(material.inks, extra)
    if not len(bank.token):
        raise LatexifyError(
            "composed.num_inks: the training inks hold no symbols that can be cut out (no trace groups, no ink of one "
            "symbol): name symbol files (composed.symbol_files), or set it to 0"
        )
    rules = LabelRules(
        min_tokens=params.min_tokens,
        max_tokens=params.max_tokens,
        symbols=frozenset(bank.glyphs_of),
        forbidden=material.held_out_labels,
    )
    return Prepared(
        params=params,
        seed=seed,
        label_annotation=plan.label_annotations[0],
        writer_annotation=(plan.writer_annotations or ["writer"])[0],
        bank=bank,
        rules=rules,
        training=Counter(ink.label for ink in material.inks),
        listed=_listed(params, rules, raw=raw, engine=engine, refused=refused),
    )


def _listed(
    params: ComposedParams, rules: LabelRules, *, raw: Location, engine: Engine, refused: Counter[str]
) -> list[str]:
    """The formulas of lists that can be composed, normalised, each once."""
    lines = itertools.chain.from_iterable(read_lines(resolve_path(path, raw=raw)) for path in params.formulas)
    batches = iter(lambda: list(itertools.islice(lines, LINES_PER_TASK)), [])
    listed: dict[str, None] = {}
    with Progress("source", total=None, unit="formulas read", silent=not params.formulas) as progress:
        for usable, why in engine.run((delayed(usable_formulas)(batch, rules) for batch in batches), in_order=True):
            listed |= dict.fromkeys(usable)
            refused.update(why)
            progress.advance(len(usable) + why.total())
    return list(listed)


@lru_cache(maxsize=1)
def _composer(folder: Path) -> Composer:
    """The composer of this process, made for its first task."""
    prepared: Prepared = pickle.loads((folder / _PREPARED).read_bytes())  # noqa: S301 (written by `compose`)
    labels = LabelSource(
        training=Recombiner(prepared.training),
        listed=prepared.listed,
        boxed=BoxedFormulas(folder / _BOXES),
        label_mix=prepared.params.label_mix,
        rules=prepared.rules,
    )
    if not labels.names:
        raise LatexifyError("composed.label_mix: no part of the mix has labels to draw from: raise another one")
    return Composer(
        bank=prepared.bank,
        labels=labels,
        seed=prepared.seed,
        variation=prepared.params.variation,
        label_annotation=prepared.label_annotation,
        writer_annotation=prepared.writer_annotation,
    )


def _calls(num_inks: int, *, folder: Path) -> Iterator[Call]:
    for start in range(0, num_inks, INKS_PER_TASK):
        yield delayed(compose_inks)(folder, start=start, stop=min(start + INKS_PER_TASK, num_inks))


def compose_inks(folder: Path, *, start: int, stop: int) -> tuple[list[ComposedInk], Counter[str]]:
    """Make inks `start` to `stop`, and count the reasons why formulas were refused."""
    composer = _composer(folder)
    composer.refused.clear()
    inks = [composer.ink(index) for index in range(start, stop)]
    return inks, Counter(composer.refused)


def _members(
    batches: Iterator[tuple[list[ComposedInk], Counter[str]]],
    origins: Counter[str],
    refused: Counter[str],
    progress: Progress,
) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each ink, and count."""
    for inks, why in batches:
        origins.update(ink.origin for ink in inks)
        refused.update(why)
        yield from ((f"{FOLDER}/{ink.name}.inkml", ink.data) for ink in inks)
        progress.advance(len(inks))

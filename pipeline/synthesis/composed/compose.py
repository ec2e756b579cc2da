"""Composes inks for a dataset: cuts its training inks and writes new ones, in parallel, into a tar or a folder."""

import itertools
import pickle
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from joblib import delayed

from latexify.artifacts.location import Location
from latexify.common.errors import LatexifyError
from latexify.common.progress import Progress
from latexify.pipeline.config import ComposedParams
from latexify.pipeline.engine.engine import Engine
from latexify.pipeline.inkml.writer import write_archive
from latexify.pipeline.inputs.inputs import COMPOSED_NAMES, SourcePlan, resolve_path
from latexify.pipeline.synthesis.composed.bank import Bank, LooseSymbol
from latexify.pipeline.synthesis.composed.boxed import BoxedFormulas, read_boxed, write_boxed
from latexify.pipeline.synthesis.composed.composition import ComposedInk, Composer
from latexify.pipeline.synthesis.composed.filling import fill_bank
from latexify.pipeline.synthesis.composed.gathering import Material, gather
from latexify.pipeline.synthesis.composed.labels import LabelRules, LabelSource, usable_formulas
from latexify.pipeline.synthesis.composed.recombining import Recombiner
from latexify.pipeline.synthesis.composed.symbol_files import font_symbols, read_lines, read_symbol_files

INKS_PER_TASK = 200
"""Without influence on the bytes."""
LINES_PER_TASK = 5_000
"""Lines of a list of formulas."""
_COMPOSER, _BOXES = "composer.pickle", "boxes.arrow"


def compose(  # noqa: PLR0913  # what, from what, where to, how
    params: ComposedParams, *, plan: SourcePlan, base: Path, raw: Location, seed: int, out: Path, engine: Engine
) -> dict[str, Any]:
    """Write `params.num_inks` composed inks, completely or not at all.

    The bytes depend on the dataset, `params` and `seed` alone. Symbols and labels of validation and test inks are not
    used. `base` is the source folder of `plan`, `raw` the folder of the files that `params` names, and `out` a tar,
    or a folder unless its name ends in `.tar`. Returns counts: inks by the part of the label mix, symbols, writers, and
    refused formulas by reason. Raises LatexifyError if data is missing or damaged, or if there is nothing to compose.
    """
    refused, origins = Counter[str](), Counter[str]()
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-")).absolute()
    try:
        composer, material = make_composer(
            params, plan=plan, base=base, raw=raw, seed=seed, folder=folder, engine=engine, refused=refused
        )
        (folder / _COMPOSER).write_bytes(pickle.dumps(composer))
        starts = range(0, params.num_inks, INKS_PER_TASK)
        calls = (delayed(compose_inks)(folder, start, min(start + INKS_PER_TASK, params.num_inks)) for start in starts)
        with Progress("source", total=params.num_inks, unit="inks composed") as progress:
            write_archive(out, _members(engine.run(calls, in_order=True), origins, refused, progress))
    finally:
        shutil.rmtree(folder)
    bank, labels = composer.bank, composer.labels
    return {
        "inks": dict(sorted(origins.items())),
        "training_inks": len(material.inks),
        "symbols": len(bank.token),
        "tokens": len(bank.glyphs_of),
        "writers": len(bank.writers),
        "listed_formulas": len(labels.listed),
        "boxed_formulas": len(labels.boxed),
        "refused": dict(refused.most_common()),
    }


def make_composer(  # noqa: PLR0913  # what, from what, where to, how
    params: ComposedParams,
    *,
    plan: SourcePlan,
    base: Path,
    raw: Location,
    seed: int,
    folder: Path,
    engine: Engine,
    refused: Counter[str],
) -> tuple[Composer, Material]:
    """Cut the symbols and read the labels that inks are composed of; return these, and what the dataset gave.

    The composer reads formulas with boxes from a file in `folder`. Formulas that cannot be used are counted in
    `refused`. The other arguments and errors are those of `compose`.
    """
    symbol_files = [resolve_path(path, raw=raw) for path in params.symbol_files]
    files = read_symbol_files(symbol_files, held_out_writers=params.held_out_writers)
    material = gather(plan, base=base, divisions=files.divisions, engine=engine)
    bank = _bank(params, material, files.symbols, seed=seed)
    labels = _label_source(params, material, bank, raw=raw, folder=folder, engine=engine, refused=refused)
    names = COMPOSED_NAMES if plan.datasets else plan.names_for(None)
    composer = Composer(
        bank=bank,
        labels=labels,
        seed=seed,
        variation=params.variation,
        label_annotation=names.labels[0],
        writer_annotation=(names.writers or ["writer"])[0],
    )
    return composer, material


def describe(counts: Mapping[str, Any]) -> str:
    """The counts of `compose` as a sentence."""
    origins = ", ".join(f"{name} {count}" for name, count in counts["inks"].items())
    why = ", ".join(f"{reason} ({count})" for reason, count in list(counts["refused"].items())[:5])
    return (
        f"{sum(counts['inks'].values())} inks ({origins}) of {counts['symbols']} symbols of {counts['tokens']} kinds "
        f"by {counts['writers']} writers, cut from {counts['training_inks']} training inks; "
        f"{sum(counts['refused'].values())} formulas could not be used{f', mostly: {why}' if why else ''}"
    )


def _bank(params: ComposedParams, material: Material, extra: Sequence[LooseSymbol], *, seed: int) -> Bank:
    if params.stroke_font:
        known = {symbol.token for ink in material.inks for symbol in ink.symbols} | {symbol.token for symbol in extra}
        extra = [*extra, *font_symbols(frozenset(known), seed=seed)]
    bank = fill_bank(material.inks, extra)
    if not len(bank.token):
        raise LatexifyError(
            "composed.num_inks: the training inks hold no symbols that can be cut out (no trace groups, no ink of one "
            "symbol): name symbol files (composed.symbol_files), or set it to 0"
        )
    return bank


def _label_source(  # noqa: PLR0913  # all parts of the label mix
    params: ComposedParams,
    material: Material,
    bank: Bank,
    *,
    raw: Location,
    folder: Path,
    engine: Engine,
    refused: Counter[str],
) -> LabelSource:
    rules = LabelRules(
        min_tokens=params.min_tokens,
        max_tokens=params.max_tokens,
        symbols=frozenset(bank.glyphs_of),
        forbidden=material.held_out_labels,
    )
    listed = _listed(params, rules, raw=raw, engine=engine, refused=refused)
    box_files = [resolve_path(path, raw=raw) for path in params.box_files]
    write_boxed(folder / _BOXES, (each for path in box_files for each in read_boxed(read_lines(path), path=path)))
    labels = LabelSource(
        training=Recombiner(Counter(ink.label for ink in material.inks)),
        listed=listed,
        boxed=BoxedFormulas(folder / _BOXES),
        label_mix=params.label_mix,
        rules=rules,
    )
    if not labels.weights:
        raise LatexifyError("composed.label_mix: no part of the mix has labels to draw from: raise another one")
    return labels


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
    """The composer of this process, loaded for its first task."""
    composer: Composer = pickle.loads((folder / _COMPOSER).read_bytes())  # noqa: S301 (written by `compose`)
    return composer


def compose_inks(folder: Path, start: int, stop: int) -> tuple[list[ComposedInk], Counter[str]]:
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
        yield from ((f"composed/{ink.name}.inkml", ink.data) for ink in inks)
        progress.advance(len(inks))

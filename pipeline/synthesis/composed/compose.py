"""Composes inks for a dataset: cuts its training inks and writes new ones, in parallel, into a tar or a folder."""

import itertools
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from joblib import delayed

from latexify.artifacts.location import Location
from latexify.common.errors import LatexifyError
from latexify.common.progress import Progress
from latexify.common.section import Section
from latexify.pipeline.config import ComposedParams
from latexify.pipeline.engine.engine import Call, Engine
from latexify.pipeline.inkml.writer import write_archive
from latexify.pipeline.inputs.inputs import SourcePlan, located
from latexify.pipeline.synthesis.composed.bank import load_bank
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
_BANK, _LABELS, _BOXES = "bank.npz", "labels.json", "boxes.arrow"


class ComposeSettings(Section):
    """What a worker needs beside the prepared folder; small, as it travels with every task."""

    params: ComposedParams
    seed: int
    label_annotation: str
    writer_annotation: str


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
    files = read_symbol_files([located(path, raw=raw) for path in params.symbol_files])
    material = gather(plan, base=base, divisions=files.divisions, engine=engine)
    refused: Counter[str] = Counter()
    origins: Counter[str] = Counter()
    out.parent.mkdir(parents=True, exist_ok=True)
    prepared = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
    try:
        settings = ComposeSettings(
            params=params,
            seed=seed,
            label_annotation=plan.label_annotations[0],
            writer_annotation=(plan.writer_annotations or ["writer"])[0],
        )
        counts = _prepare(settings, material, files, raw=raw, folder=prepared, engine=engine, refused=refused)
        batches = engine.run(_calls(settings, folder=prepared.absolute()), in_order=True)
        with Progress("source", total=params.num_inks, unit="inks composed") as progress:
            write_archive(out, _members(batches, origins, refused, progress))
    finally:
        shutil.rmtree(prepared)
    return {"inks": dict(sorted(origins.items())), **counts, "refused": dict(refused.most_common())}


def describe(counts: Mapping[str, Any]) -> str:
    """The counts of `compose` as a sentence."""
    origins = ", ".join(f"{name} {count}" for name, count in counts["inks"].items())
    why = ", ".join(f"{reason} ({count})" for reason, count in list(counts["refused"].items())[:5])
    return (
        f"{sum(counts['inks'].values())} inks ({origins}) of {counts['symbols']} symbols of {counts['tokens']} kinds by "
        f"{counts['writers']} writers, cut from {counts['training_inks']} training inks; "
        f"{sum(counts['refused'].values())} formulas could not be used{f', mostly: {why}' if why else ''}"
    )


def _prepare(  # noqa: PLR0913  # all that goes in
    settings: ComposeSettings,
    material: Material,
    files: SymbolFiles,
    *,
    raw: Location,
    folder: Path,
    engine: Engine,
    refused: Counter[str],
) -> dict[str, int]:
    """Write bank, labels and boxes into `folder` for the workers, and count their contents."""
    params = settings.params
    extra = files.symbols
    if params.stroke_font:
        known = {symbol.token for ink in material.inks for symbol in ink.symbols} | {symbol.token for symbol in extra}
        extra = [*extra, *font_symbols(frozenset(known), seed=settings.seed)]
    bank = fill_bank(material.inks, extra)
    if not len(bank.token):
        raise LatexifyError(
            "composed.num_inks: the training inks hold no symbols that can be cut out (no trace groups, no ink of one "
            "symbol): name symbol files (composed.symbol_files), or set it to 0"
        )
    bank.save(folder / _BANK)
    rules = LabelRules(
        min_tokens=params.min_tokens,
        max_tokens=params.max_tokens,
        symbols=frozenset(bank.glyphs_of),
        forbidden=material.held_out_labels,
    )
    listed = _listed(params, rules, raw=raw, engine=engine, refused=refused)
    content = {
        "symbols": sorted(rules.symbols),
        "forbidden": sorted(rules.forbidden),
        "training": Counter(ink.label for ink in material.inks),
        "listed": listed,
    }
    (folder / _LABELS).write_text(json.dumps(content), encoding="utf-8")
    box_files = [located(path, raw=raw) for path in params.box_files]
    boxed = (formula for path in box_files for formula in read_boxed(read_lines(path), path=path))
    num_boxed = write_boxed(folder / _BOXES, boxed)
    return {
        "training_inks": len(material.inks),
        "symbols": len(bank.token),
        "tokens": len(rules.symbols),
        "writers": len(bank.writers),
        "listed_formulas": len(listed),
        "boxed_formulas": num_boxed,
    }


def _listed(
    params: ComposedParams, rules: LabelRules, *, raw: Location, engine: Engine, refused: Counter[str]
) -> list[str]:
    """The formulas of lists that can be composed, normalised, each once."""
    lines = itertools.chain.from_iterable(read_lines(located(path, raw=raw)) for path in params.formulas)
    batches = iter(lambda: list(itertools.islice(lines, LINES_PER_TASK)), [])
    listed: dict[str, None] = {}
    with Progress("source", total=None, unit="formulas read", silent=not params.formulas) as progress:
        for usable, why in engine.run((delayed(usable_formulas)(batch, rules) for batch in batches), in_order=True):
            listed |= dict.fromkeys(usable)
            refused.update(why)
            progress.advance(len(usable) + why.total())
    return list(listed)


@lru_cache(maxsize=1)
def _composer(settings_text: str, folder: Path) -> Composer:
    """The composer of this process, made for its first task."""
    settings = ComposeSettings.model_validate_json(settings_text)
    params = settings.params
    content = json.loads((folder / _LABELS).read_text(encoding="utf-8"))
    rules = LabelRules(
        min_tokens=params.min_tokens,
        max_tokens=params.max_tokens,
        symbols=frozenset(content["symbols"]),
        forbidden=frozenset(content["forbidden"]),
    )
    labels = LabelSource(
        training=Recombiner(content["training"]),
        listed=content["listed"],
        boxed=BoxedFormulas(folder / _BOXES),
        label_mix=params.label_mix,
        rules=rules,
    )
    if not labels.names:
        raise LatexifyError("composed.label_mix: none of them has anything to draw labels from: raise another one")
    return Composer(
        bank=load_bank(folder / _BANK),
        labels=labels,
        seed=settings.seed,
        variation=params.variation,
        label_annotation=settings.label_annotation,
        writer_annotation=settings.writer_annotation,
    )


def _calls(settings: ComposeSettings, *, folder: Path) -> Iterator[Call]:
    text, count = settings.model_dump_json(), settings.params.num_inks
    for start in range(0, count, INKS_PER_TASK):
        yield delayed(compose_inks)(text, folder, start=start, stop=min(start + INKS_PER_TASK, count))


def compose_inks(settings_text: str, folder: Path, *, start: int, stop: int) -> tuple[list[ComposedInk], Counter[str]]:
    """Make inks `start` to `stop`, and count the reasons why formulas were refused."""
    composer = _composer(settings_text, folder)
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

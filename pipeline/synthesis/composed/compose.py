"""Composed inks of a dataset: cut its training inks, write new ones in parallel, leave a tar or a folder."""

import io
import itertools
import json
import shutil
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from joblib import delayed

from latexify.artifacts.files import temporary_of
from latexify.artifacts.location import Location
from latexify.common.errors import LatexifyError
from latexify.common.progress import Progress
from latexify.common.section import Section
from latexify.pipeline.config import ComposedParams
from latexify.pipeline.engine.engine import Call, Engine
from latexify.pipeline.inputs.inputs import SourcePlan, resolve_path
from latexify.pipeline.synthesis.composed.bank import load_bank
from latexify.pipeline.synthesis.composed.boxed import BoxedFormulas, read_boxed, write_boxed
from latexify.pipeline.synthesis.composed.composition import ComposedInk, Composer
from latexify.pipeline.synthesis.composed.filling import fill_bank
from latexify.pipeline.synthesis.composed.font_symbols import font_symbols
from latexify.pipeline.synthesis.composed.gathering import Material, gather
from latexify.pipeline.synthesis.composed.labels import LabelRules, LabelSource, usable_formulas
from latexify.pipeline.synthesis.composed.recombining import Recombiner
from latexify.pipeline.synthesis.composed.symbol_files import SymbolFiles, read_lines, read_symbol_files

INKS_PER_TASK = 200
"""A worker's share at a time; it has no influence on what is written."""
FOLDER = "composed"
"""Folder of the inks in their archive."""
LINES_PER_TASK = 5_000
"""Of a list of formulas."""
_BANK, _LABELS, _BOXES = "bank.npz", "labels.json", "boxes.arrow"


class Recipe(Section):
    """What a worker must know beside the prepared folder: small, as it travels with every task."""

    params: ComposedParams
    seed: int
    label_annotation: str
    writer_annotation: str


def compose(  # noqa: PLR0913  # what, from what, where to, how
    params: ComposedParams, *, plan: SourcePlan, base: Path, raw: Location, seed: int, out: Path, engine: Engine
) -> dict[str, Any]:
    """Write `params.num_inks` composed inks into the tar `out` (or a folder, unless its name ends in `.tar`).

    plan, base: the dataset as `source` describes it, and the source folder. raw: folder that the files in `params` are
    relative to. The bytes depend on the dataset, `params` and `seed` alone. Symbols and labels of validation and test
    inks are not used. The output is there whole or not at all.

    Returns the counts: inks by where their labels are from, symbols, writers, and what was refused for which reason.
    Raises LatexifyError where data is missing or damaged, or where there is nothing to compose.
    """
    files = read_symbol_files([resolve_path(path, raw=raw) for path in params.symbol_files])
    material = gather(plan, base=base, divisions=files.divisions, engine=engine)
    refused: Counter[str] = Counter()
    out.parent.mkdir(parents=True, exist_ok=True)
    prepared = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
    try:
        recipe = Recipe(
            params=params,
            seed=seed,
            label_annotation=plan.label_annotations[0],
            writer_annotation=(plan.writer_annotations or ["writer"])[0],
        )
        counts = _prepare(recipe, material, files, raw=raw, folder=prepared, engine=engine, refused=refused)
        calls = _calls(recipe, folder=prepared.absolute())
        shares: Counter[str] = Counter()
        with Progress("source", total=params.num_inks, unit="inks composed") as progress:
            _write(out, _counted(engine.run(calls, in_order=True), shares, refused, progress))
    finally:
        shutil.rmtree(prepared)
    return {"inks": dict(sorted(shares.items())), **counts, "refused": dict(refused.most_common())}


def describe(counts: Mapping[str, Any]) -> str:
    """Counts of `compose` in words."""
    shares = ", ".join(f"{name} {count}" for name, count in counts["inks"].items())
    why = ", ".join(f"{reason} ({count})" for reason, count in list(counts["refused"].items())[:5])
    return (
        f"{sum(counts['inks'].values())} inks ({shares}) of {counts['symbols']} symbols of {counts['tokens']} kinds by "
        f"{counts['writers']} writers, cut from {counts['training_inks']} training inks; "
        f"{sum(counts['refused'].values())} formulas could not be used{f', mostly: {why}' if why else ''}"
    )


def _prepare(  # noqa: PLR0913  # all that goes in
    recipe: Recipe,
    material: Material,
    files: SymbolFiles,
    *,
    raw: Location,
    folder: Path,
    engine: Engine,
    refused: Counter[str],
) -> dict[str, int]:
    """Write bank, labels and boxes where workers find them; count what they hold."""
    params = recipe.params
    extra = files.symbols
    if params.stroke_font:
        known = {symbol.token for ink in material.inks for symbol in ink.symbols} | {symbol.token for symbol in extra}
        extra = [*extra, *font_symbols(frozenset(known), seed=recipe.seed)]
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
    places = [resolve_path(path, raw=raw) for path in params.box_files]
    boxed = (formula for place in places for formula in read_boxed(read_lines(place), path=place))
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
    """The formulas of the lists that can be composed, normalised, each once."""
    lines = itertools.chain.from_iterable(read_lines(resolve_path(path, raw=raw)) for path in params.formulas)
    batches = iter(lambda: list(itertools.islice(lines, LINES_PER_TASK)), [])
    found: dict[str, None] = {}
    with Progress("source", total=None, unit="formulas read", silent=not params.formulas) as progress:
        for usable, why in engine.run((delayed(usable_formulas)(batch, rules) for batch in batches), in_order=True):
            found |= dict.fromkeys(usable)
            refused.update(why)
            progress.advance(len(usable) + why.total())
    return list(found)


@lru_cache(maxsize=1)
def _composer(recipe_text: str, folder: Path) -> Composer:
    """The composer of a process: made for its first task."""
    recipe = Recipe.model_validate_json(recipe_text)
    params = recipe.params
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
        shares=params.label_mix,
        rules=rules,
    )
    if not labels.names:
        raise LatexifyError("composed.label_mix: none of them has anything to draw labels from: raise another one")
    return Composer(
        bank=load_bank(folder / _BANK),
        labels=labels,
        seed=recipe.seed,
        variation=params.variation,
        label_annotation=recipe.label_annotation,
        writer_annotation=recipe.writer_annotation,
    )


def _calls(recipe: Recipe, *, folder: Path) -> Iterator[Call]:
    text, count = recipe.model_dump_json(), recipe.params.num_inks
    for start in range(0, count, INKS_PER_TASK):
        yield delayed(compose_inks)(text, folder, start=start, stop=min(start + INKS_PER_TASK, count))


def compose_inks(recipe_text: str, folder: Path, *, start: int, stop: int) -> tuple[list[ComposedInk], Counter[str]]:
    """Inks `start` to `stop`, and why formulas were refused on the way."""
    composer = _composer(recipe_text, folder)
    composer.refused.clear()
    inks = [composer.ink(index) for index in range(start, stop)]
    return inks, Counter(composer.refused)


def _counted(
    batches: Iterator[tuple[list[ComposedInk], Counter[str]]],
    shares: Counter[str],
    refused: Counter[str],
    progress: Progress,
) -> Iterator[ComposedInk]:
    for inks, why in batches:
        shares.update(ink.share for ink in inks)
        refused.update(why)
        yield from inks
        progress.advance(len(inks))


def _write(out: Path, inks: Iterator[ComposedInk]) -> None:
    """Write the inks in the order they come, under a temporary name until all are there."""
    temporary = temporary_of(out)
    try:
        if out.suffix == ".tar":
            with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
                for ink in inks:
                    tar.addfile(_tar_info(f"{FOLDER}/{ink.name}.inkml", len(ink.data)), io.BytesIO(ink.data))
            temporary.replace(out)
            return
        if out.exists():
            raise LatexifyError(f"{out} exists already: name another folder, or remove it")
        temporary.mkdir(parents=True)
        for ink in inks:
            (temporary / f"{ink.name}.inkml").write_bytes(ink.data)
        temporary.replace(out)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        temporary.unlink(missing_ok=True)


def _tar_info(name: str, num_bytes: int) -> tarfile.TarInfo:
    """A member header that says nothing of the machine or the clock (a new `TarInfo` has time 0 and owner 0)."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = num_bytes, 0o644
    return info

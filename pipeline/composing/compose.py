"""Composed inks of a dataset: cut its training inks, write new ones in parallel, leave a tar or a folder."""

import io
import json
import shutil
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from joblib import delayed

from pipeline.composing.bank import load_bank
from pipeline.composing.composition import ComposedInk, Composer
from pipeline.composing.filling import fill_bank
from pipeline.composing.gathering import Material, gather
from pipeline.composing.labels import LabelRules, LabelSource, usable_formulas
from pipeline.composing.symbol_files import SymbolFiles, read_lines, read_symbol_files
from pipeline.config import ComposedParams
from pipeline.engine import Call, Engine
from pipeline.inputs import SourcePlan, located
from shards.errors import LatexifyError
from shards.files import temporary_of
from shards.place import Place
from shards.progress import Progress

INKS_PER_TASK = 200
"""A worker's share at a time; it has no influence on what is written."""
FOLDER = "composed"
"""Folder of the inks in their archive."""
MAX_DEPTH = 2
"""Of the grammar's formulas."""
_BANK, _LABELS = "bank.npz", "labels.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a worker must know beside the prepared folder: small, as it travels with every task."""

    params: ComposedParams
    seed: int
    label_annotation: str
    writer_annotation: str


def compose(  # noqa: PLR0913  # what, from what, where to, how
    params: ComposedParams, *, plan: SourcePlan, base: Path, raw: Place, seed: int, out: Path, engine: Engine
) -> dict[str, Any]:
    """Write `params.num_inks` composed inks into the tar `out` (or a folder, unless its name ends in `.tar`).

    plan, base: the dataset as `source` describes it, and the source folder. raw: folder that the files in `params` are
    relative to. The bytes depend on the dataset, `params` and `seed` alone. Nothing is written from symbols or labels of
    validation and test inks. The output is there whole or not at all.

    Returns the counts: inks by where their labels are from, symbols, writers, and what was refused for which reason.
    Raises LatexifyError where data is missing or damaged, or where there is nothing to compose.
    """
    files = read_symbol_files([located(path, raw=raw) for path in params.symbol_files])
    material = gather(plan, base=base, divisions=files.divisions, engine=engine)
    refused: Counter[str] = Counter()
    out.parent.mkdir(parents=True, exist_ok=True)
    prepared = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
    try:
        counts = _prepare(params, material, files, raw=raw, folder=prepared, refused=refused)
        recipe = Recipe(
            params=params,
            seed=seed,
            label_annotation=plan.label_annotations[0],
            writer_annotation=(plan.writer_annotations or ["writer"])[0],
        )
        calls = _calls(recipe, folder=prepared.absolute())
        shares: Counter[str] = Counter()
        with Progress("source", total=params.num_inks, unit="inks composed") as progress:
            _write(out, _counted(engine.run(calls, in_order=True), shares, refused, progress))
    finally:
        shutil.rmtree(prepared)
    return {"inks": dict(sorted(shares.items())), **counts, "refused": dict(refused.most_common())}


def _prepare(  # noqa: PLR0913  # all that goes in
    params: ComposedParams,
    material: Material,
    files: SymbolFiles,
    *,
    raw: Place,
    folder: Path,
    refused: Counter[str],
) -> dict[str, int]:
    """Write bank and labels where workers find them."""
    bank = fill_bank(material.inks, files.symbols)
    if not len(bank.token):
        raise LatexifyError(
            "composed.num_inks: the training inks hold no symbols that can be cut out (no trace groups, no ink of one "
            "symbol): name symbol files (composed.symbol_files), or set it to 0"
        )
    bank.save(folder / _BANK)
    symbols = {bank.tokens[number] for number in set(bank.token.tolist())}
    rules = {"symbols": sorted(symbols), "forbidden": sorted(material.held_out_labels)}
    training = Counter(ink.label for ink in material.inks)
    texts = (line for path in params.formulas for line in read_lines(located(path, raw=raw)))
    listed = usable_formulas(texts, _rules(params, rules), refused)
    (folder / _LABELS).write_text(json.dumps({**rules, "training": training, "listed": listed}), encoding="utf-8")
    return {
        "training_inks": len(material.inks),
        "symbols": len(bank.token),
        "tokens": len(symbols),
        "writers": len(bank.writers),
        "listed_formulas": len(listed),
    }


def _rules(params: ComposedParams, content: Mapping[str, Any]) -> LabelRules:
    return LabelRules(
        min_tokens=params.min_tokens,
        max_tokens=params.max_tokens,
        symbols=frozenset(content["symbols"]),
        forbidden=frozenset(content["forbidden"]),
    )


@lru_cache(maxsize=1)
def _composer(recipe_text: str, folder: Path) -> Composer:
    """The composer of a process: made for its first task."""
    fields = json.loads(recipe_text)
    params = ComposedParams.model_validate(fields.pop("params"))
    content = json.loads((folder / _LABELS).read_text(encoding="utf-8"))
    labels = LabelSource(
        training=content["training"],
        listed=content["listed"],
        shares=params.shares,
        rules=_rules(params, content),
        max_depth=MAX_DEPTH,
    )
    if not labels.names:
        raise LatexifyError("composed.shares: nothing to draw labels from: raise another share than `listed`")
    return Composer(bank=load_bank(folder / _BANK), labels=labels, variation=params.variation, **fields)


def _calls(recipe: Recipe, *, folder: Path) -> Iterator[Call]:
    text = json.dumps(
        {
            "params": recipe.params.model_dump(),
            "seed": recipe.seed,
            "label_annotation": recipe.label_annotation,
            "writer_annotation": recipe.writer_annotation,
        }
    )
    count = recipe.params.num_inks
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

"""Makes an archive in the layout of MathWriting-2024, of inks composed of CROHME's symbols.

Layout: `mathwriting-2024/{train,valid,test,symbols,synthetic}/{sampleId}.inkml` in a tar that is compressed with gzip,
and a readme (Gervais et al., arXiv:2404.10690). The real archive also holds two tables, `symbols.jsonl` and
`synthetic-bboxes.jsonl`, which ingest passes over; they are left out here.

Each task compresses its inks by itself, as a member of the gzip file (RFC 1952, 2.2), so that all cores take part.
"""

import io
import pickle
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from isal import igzip
from joblib import delayed

from latexify.artifacts.files import replacing
from latexify.common.progress import Progress
from latexify.pipeline.config import ComposedParams, CrohmeParams, LabelShares
from latexify.pipeline.engine.engine import Call, Engine
from latexify.pipeline.inkml.writer import RECORDED, inkml
from latexify.pipeline.source import stage as source
from latexify.pipeline.synthesis.composed.compose import make_composer
from latexify.pipeline.synthesis.composed.composition import Composer, Composition
from latexify.pipeline.synthesis.typeset.boxes import Floats
from latexify.shards.format.tar import TarWriter

ROOT = "mathwriting-2024"
PUBLISHED = {"train": 229_864, "valid": 15_674, "test": 7_644, "symbols": 6_423, "synthetic": 396_014}
"""Inks in each folder of the published archive."""
REPEATED = 1_000
"""One ink in as many is there twice, about as in CROHME (9 of 9,822): the same strokes and label under another name."""
INKS_PER_TASK = 250
COMPRESSION = 1
"""Level of ISA-L, the second of four: speed matters more than the last tenth of the size."""
MIX = LabelShares(copied=1, exchanged=2, recombined=3, grammar=1, listed=3, boxes=0)
ALONE = LabelShares(copied=0, exchanged=0, recombined=0, grammar=0, listed=0, boxes=0, symbols=1)
"""Label mixes of the formulas, and of the folder `symbols`."""
SAMPLING_MS, PAUSE_MS = 12, 250
"""Time between two points of a stroke, and between two strokes."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """What inks are composed of. raw: folder of real data. section: the inks that are cut. composed: what else."""

    raw: Path
    section: CrohmeParams
    composed: ComposedParams


class Share(NamedTuple):
    """Inks `start` to `stop` of all, which are in one folder."""

    folder: str
    start: int
    stop: int


class Packed(NamedTuple):
    """A part of the archive. data: compressed. num_bytes: before that."""

    data: bytes
    num_bytes: int
    num_inks: int


def folder_counts(num_inks: int, *, num_valid: int | None = None) -> dict[str, int]:
    """Return the number of inks of each folder, in the proportions of the published archive; at least one each.

    num_valid: of the folder `valid`; None: in proportion.
    """
    total = sum(PUBLISHED.values())
    counts = {name: max(1, round(count * num_inks / total)) for name, count in PUBLISHED.items()}
    if num_valid is not None:
        counts["valid"] = num_valid
    counts["synthetic"] += num_inks - sum(counts.values())
    if counts["synthetic"] < 1:
        raise ValueError(f"{num_inks} inks are too few for all folders")
    return counts


def write_archive(
    out: Path, counts: Mapping[str, int], *, material: Material, engine: Engine, seed: int = 1
) -> dict[str, int]:
    """Write the archive, which appears when it is complete; return its `inks`, `bytes`, and `unpacked_bytes`.

    counts: inks of each folder. Each ink depends on its number, `material` and `seed` alone.
    """
    totals: Counter[str] = Counter()
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as name:
        folder = Path(name).absolute()
        _write_composers(folder, material, engine=engine, seed=seed)
        with replacing(out) as temporary, temporary.open("wb") as file, _progress(counts) as progress:
            file.write(igzip.compress(_readme(counts), COMPRESSION))
            for packed in engine.run(_calls(folder, counts), in_order=True):
                file.write(packed.data)
                totals.update(inks=packed.num_inks, unpacked_bytes=packed.num_bytes)
                progress.advance(packed.num_inks)
            file.write(igzip.compress(bytes(tarfile.RECORDSIZE), COMPRESSION))  # the end of a tar
    return {**totals, "bytes": out.stat().st_size}


def _progress(counts: Mapping[str, int]) -> Progress:
    return Progress("archive", total=sum(counts.values()), unit="inks")


def _write_composers(folder: Path, material: Material, *, engine: Engine, seed: int) -> None:
    """Cut the symbols once, and leave for the workers what composes formulas, and what composes lone symbols."""
    origin = folder / "source"
    source.run(material.section, dataset="crohme", seed=seed, raw=material.raw, out=origin, jobs=engine.jobs)
    composer, _ = make_composer(
        material.composed.model_copy(update={"label_mix": MIX}),
        plan=source.read_plan(origin),
        base=origin,
        raw=material.raw,
        seed=seed,
        folder=folder,
        engine=engine,
        refused=Counter(),
    )
    for name, mix in (("formulas", MIX), ("symbols", ALONE)):
        own = replace(composer, labels=replace(composer.labels, label_mix=mix))
        (folder / f"{name}.pickle").write_bytes(pickle.dumps(own))


def _calls(folder: Path, counts: Mapping[str, int]) -> Iterator[Call]:
    first = 0
    for name, count in counts.items():
        for start in range(first, first + count, INKS_PER_TASK):
            yield delayed(pack)(folder, Share(name, start, min(start + INKS_PER_TASK, first + count)))
        first += count


def _readme(counts: Mapping[str, int]) -> bytes:
    """A member that is no ink, as the published archive has one."""
    text = "".join(f"{name}: {count} inks\n" for name, count in counts.items())
    return _tar([(f"{ROOT}/readme.md", text.encode())])


def _tar(members: list[tuple[str, bytes]]) -> bytes:
    """A piece of a tar, without its end."""
    piece = io.BytesIO()
    TarWriter(piece).append(members)
    return piece.getvalue()


@lru_cache(maxsize=2)
def _composer(path: Path) -> Composer:
    """A composer of this process, loaded for its first task."""
    composer: Composer = pickle.loads(path.read_bytes())  # noqa: S301  # written by `write_archive`
    return composer


def pack(folder: Path, share: Share) -> Packed:
    """Make the inks of a share (runs in a worker)."""
    composer = _composer(folder / ("symbols.pickle" if share.folder == "symbols" else "formulas.pickle"))
    members = [
        (f"{ROOT}/{share.folder}/{sample_id}.inkml", _document(made, sample_id=sample_id, folder=share.folder))
        for sample_id, made in _inks(composer, share)
    ]
    piece = _tar(members)
    return Packed(igzip.compress(piece, COMPRESSION), len(piece), len(members))


def _inks(composer: Composer, share: Share) -> Iterator[tuple[str, Composition]]:
    """Yield the name of each ink, and the ink. Some of the share's inks repeat its first one."""
    for number in range(share.start, share.stop):
        is_repeat = number % REPEATED == REPEATED - 1 and number > share.start
        made = composer.compose(share.start if is_repeat else number)
        yield f"{made.sample_id[:-2]}-{number}" if is_repeat else made.sample_id, made


def _document(made: Composition, *, sample_id: str, folder: str) -> bytes:
    """The ink as MathWriting writes it; symbols have no normalised label."""
    is_synthetic = folder == "synthetic"
    annotations = {
        "sampleId": sample_id,
        "splitTagOriginal": "train" if folder in {"synthetic", "symbols"} else folder,
        "inkCreationMethod": "synthetic" if is_synthetic else "human",
        "labelCreationMethod": "synthetic" if is_synthetic else "human",
        "label": made.label,
        **({} if folder == "symbols" else {"normalizedLabel": made.label}),
    }
    points, lengths = denser(made.points, made.lengths)
    return inkml(np.column_stack([points, _times_ms(lengths)]), lengths, annotations, RECORDED)


def denser(points: Floats, lengths: list[int]) -> tuple[Floats, list[int]]:
    """Put a point halfway between every two of a stroke: with CROHME's own, the archive has half the published size.

    points: float64 [num_points, 2]. lengths: number of points of each stroke.
    """
    numbers = np.arange(len(points), dtype=np.float64)
    ends = np.cumsum(lengths) - 1
    halves = np.setdiff1d(numbers, ends) + 0.5
    places = np.sort(np.concatenate([numbers, halves]))
    dense = np.column_stack([np.interp(places, numbers, column) for column in points.T])
    return dense, [2 * length - 1 for length in lengths]


def _times_ms(lengths: list[int]) -> Floats:
    """When each point was written, ms; float64 [num_points]."""
    waits = np.full(sum(lengths), float(SAMPLING_MS))
    starts = np.cumsum([0, *lengths[:-1]])
    waits[starts] += PAUSE_MS
    times: Floats = np.cumsum(waits) - waits[0]
    return times

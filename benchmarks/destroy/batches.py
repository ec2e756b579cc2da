"""Archives of ruined files under hostile names, taken through source, ingest, vocab and rasterize."""

import io
import os
import tarfile
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

from benchmarks.destroy.mutations import SHARES, mutant
from latexify.pipeline.config import IngestParams, InkmlParams, RasterizeParams, VocabParams
from latexify.pipeline.engine.engine import Engine
from latexify.pipeline.ingest import stage as ingest
from latexify.pipeline.inks.ink import SPLITS
from latexify.pipeline.inks.table import read_inks
from latexify.pipeline.inputs.inputs import is_inkml_name
from latexify.pipeline.rasterize import stage as rasterize
from latexify.pipeline.source import stage as source
from latexify.pipeline.vocab import stage as vocab
from latexify.pipeline.vocab.tokenizer import encode_labels, load_tokenizer
from latexify.shards.format.index import open_split
from latexify.shards.reading.reader import SampleReader
from latexify.shards.verify.verify import verify

FILES_PER_ARCHIVE = 500
FORMS = ("tar", "zip", "tar.gz", "folder")
_TOO_HEAVY = frozenset({"giants within the limit", "50 MB", "levels"})

NAMES = (
    "../../outside.inkml", "../outside.inkml", "/absolute.inkml", "a/../b.inkml", "./a//b.inkml", "a/b.inkml",
    "a\\b.inkml", "C:\\windows.inkml", "per%cent%2Fand%00.inkml", "dots.in.the.name.inkml", "a.png.inkml",
    "a.ids.npy.inkml", ". .inkml", " .inkml", " spaces .inkml", "new\nline.inkml", "tab\t.inkml", "bell\a.inkml",
    "esc\x1b[31m.inkml", "\u202egpj.inkml", "e\u0301.inkml", "\xe9.inkml", "\u6f22\u5b57.inkml", "\U0001f600.inkml",
    "surrogate\udcff.inkml", "-rf.inkml", "*?.inkml", "$(id).inkml", "a;b|c&d.inkml", '"quoted".inkml', "CON.inkml",
    "UPPER.INKML", ".hidden.inkml", "__MACOSX/x.inkml", "a.inkml/b.inkml", "manifest.json.inkml",
    "part-00000.parquet.inkml", "no-suffix", ".inkml", "a,b=c+d.inkml", "~/x.inkml", "n" * 200 + ".inkml",
)  # fmt: skip
"""Names of members that want to lead out, to mean something else, or to be one another."""
LONG_NAMES = ("n" * 10_000 + ".inkml", "/".join(["d" * 90] * 100) + ".inkml", "%" * 5000 + ".inkml")
"""Names that only an archive can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Where the members of one archive ended up. problems: what does not add up, or does not come back."""

    form: str
    num_members: int
    num_inputs: int
    num_rows: int
    num_rejected: int
    num_samples: int
    problems: Sequence[str] = field(default_factory=list)


def run_batches(
    numbers: range, *, seed: int, sound: Sequence[bytes], folder: Path, num_files: int = FILES_PER_ARCHIVE
) -> list[Account]:
    """Make the archives of these numbers, whose forms take turns, and take each through the stages in `folder`."""
    return [
        _run_stages(
            FORMS[number % len(FORMS)], Random(f"{seed}/archive/{number}"), sound, folder / f"{number:03d}", num_files
        )
        for number in numbers
    ]


def _run_stages(form: str, rng: Random, sound: Sequence[bytes], at: Path, num_files: int) -> Account:
    raw = at / "raw"
    raw.mkdir(parents=True)
    (at / "outside.inkml").write_bytes(sound[0])  # what a name or a link could reach
    members = _members(form, rng, sound, num_files)
    num_links = _write(form, raw / f"faults.{form}", members)
    before = sorted(path.name for path in at.iterdir())
    expected = sum(is_inkml_name(name.replace("\\", "/") if form == "zip" else name) for name, _ in members) + num_links
    section = InkmlParams(paths=[f"faults.{form}"], split_by="label", valid_fraction=0.1, test_fraction=0.1)
    source.run(section, dataset="inkml", seed=1, raw=raw, out=at / "data/source", jobs=1)
    engine = Engine(backend="sequential", jobs=1)
    metrics = at / "metrics/m.json"
    counts = ingest.run(
        IngestParams(max_reject_fraction=1),
        source=at / "data/source",
        out=at / "data/inks",
        metrics=metrics,
        engine=engine,
    )
    inks = list(read_inks(at / "data/inks"))
    vocab.run(
        VocabParams(), base="scratch", inks=at / "data/inks", out=at / "data/tokenizer", metrics=at / "metrics/v.json"
    )
    summary = rasterize.run(
        RasterizeParams(samples_per_shard=64),
        seed=1,
        inks=at / "data/inks",
        tokenizer=at / "data/tokenizer",
        out=at / "data/shards",
        metrics=metrics,
        engine=engine,
    )
    read_back = _read_back(at / "data/shards")
    encode = partial(encode_labels, load_tokenizer(at / "data/tokenizer"))
    verified = verify(at / "data/shards", encode=encode, engine=engine)
    num_rows, num_rejected = len(inks), sum(counts["rejected"].values())
    checks = {
        f"{counts['inputs']} inputs of {expected}": counts["inputs"] == expected,
        "inputs are not rows and rejections": counts["inputs"] == num_rows + num_rejected,
        "a key twice": len({ink.key for ink in inks}) == num_rows,
        "samples and long labels are not the rows": len(read_back) + sum(summary["rejected"].values()) == num_rows,
        "a sample has another label": all(
            read_back.get(ink.key, ink.normalized_label) == ink.normalized_label for ink in inks
        ),
        f"verify finds {verified.shown}": verified.num_findings == 0,
        "something was written elsewhere": sorted(path.name for path in at.iterdir())
        == sorted([*before, "data", "metrics"]),
        "a draft or temporary file is left": not [path for path in at.rglob(".*") if path.suffix in {".tmp", ".draft"}],
    }
    return Account(
        form=form,
        num_members=len(members) + num_links,
        num_inputs=counts["inputs"],
        num_rows=num_rows,
        num_rejected=num_rejected,
        num_samples=len(read_back),
        problems=[problem for problem, holds in checks.items() if not holds],
    )


def _members(form: str, rng: Random, sound: Sequence[bytes], num_files: int) -> list[tuple[str, bytes]]:
    """Names, some hostile, some twice, each with a sound or a ruined file."""
    kinds = sorted(set(SHARES) - _TOO_HEAVY)
    hostile = list(NAMES) if form == "folder" else [*NAMES, *LONG_NAMES, *rng.choices(NAMES, k=5)]
    names = [*hostile, *(f"train/{number:05d}.inkml" for number in range(num_files - len(hostile)))]
    rng.shuffle(names)
    files = [
        rng.choice(sound)
        if rng.random() < 0.3
        else mutant(rng.choice(kinds), rng.randrange(10**6), seed=rng.randrange(10**6), sound=sound).data
        for _ in names
    ]
    return list(zip(names, files, strict=True))


def _write(form: str, path: Path, members: list[tuple[str, bytes]]) -> int:
    """Write the members; returns how many links and devices with names of InkML there are besides."""
    if form == "folder":
        members[:] = _written_files(path, members)
        return 0
    if form == "zip":
        return _write_zip(path, members)
    kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)
    with tarfile.open(path, "w:gz" if form == "tar.gz" else "w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for number, kind in enumerate(kinds):
            info = tarfile.TarInfo(f"links/{number}.inkml")
            info.type, info.linkname = kind, "../../outside.inkml"
            archive.addfile(info)
    return len(kinds)


def _write_zip(path: Path, members: list[tuple[str, bytes]]) -> int:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of names that are there twice: they are meant to be
        for place, (name, data) in enumerate(members):
            members[place] = (name.encode("utf-8", "replace").decode(), data)  # zip has no bytes that are no text
            archive.writestr(members[place][0], data)
        link = zipfile.ZipInfo("links/0.inkml")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "../../outside.inkml")
    return 1


def _written_files(folder: Path, members: Sequence[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Write the members that stay inside `folder`; the others, and those whose names are taken, are left out."""
    written: dict[str, bytes] = {}
    for name, data in members:
        path = Path(os.path.normpath(folder / name.lstrip("/")))
        if folder not in path.parents or path.exists() or any(parent.is_file() for parent in path.parents):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        written[path.relative_to(folder).as_posix()] = data
    return list(written.items())


def _read_back(shards: Path) -> dict[str, str]:
    """Key and label of every sample, each read from its tar."""
    found: dict[str, str] = {}
    for split in SPLITS:
        index = open_split(shards, split)
        with SampleReader(index) as reader:
            found |= {sample.key: sample.label for sample in reader.read(range(len(index)))}
    return found

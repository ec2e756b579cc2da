"""Damage shards at random, and see whether anything gets by: ``python benchmarks/destroy/shard_damage.py``.

Each trial overwrites or cuts a random range of bytes of a random shard. Then `latexify verify` must name exactly the
samples whose bytes changed, and what the stream yields must equal what was written, or be an error.
"""

import contextlib
import io
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from latexify.artifacts.files import write_parquet
from latexify.artifacts.manifest import Manifest, write_manifest
from latexify.artifacts.names import INDEX_NAME
from latexify.common.errors import LatexifyError
from latexify.shards.format.index import SplitIndex, open_split
from latexify.shards.format.png import encode_png
from latexify.shards.format.sample import EncodedSample, Sample
from latexify.shards.format.writer import write_shard
from latexify.shards.reading.reader import SampleReader
from latexify.shards.verify.verify import Verification, verify
from latexify.trainer.config import TrainParams
from latexify.trainer.data.batches import MicroBatch, open_loader
from latexify.trainer.data.specs import Position

NUM_TRIALS = 1000
SHARDS = (("train", 0), ("train", 1), ("test", 0))
SAMPLES_PER_SHARD = 40
HEIGHT_PX, WIDTH_PX = 24, 64
END_ID = 2


class Here:
    """Runs tasks at once, in this process."""

    def run(self, calls: Iterable[Any], *, in_order: bool) -> Iterator[Any]:  # noqa: ARG002  # there is one order
        """Yield the results of the calls."""
        for function, arguments, options in calls:
            yield function(*arguments, **options)


@dataclass(frozen=True, kw_only=True)
class Original:
    """A whole shard folder: its files, where each sample lies, and what the stream reads of it."""

    folder: Path
    spans: dict[str, dict[str, tuple[int, int]]]
    """By shard and key: from the first byte of the first header to behind the last padding."""
    indexes: dict[str, SplitIndex]
    samples: dict[str, list[Sample]]


def ids_of(label: str) -> npt.NDArray[np.int32]:
    """The token ids of a label of these shards: its digits, and the end."""
    return np.array([4 + int(digit) for digit in label] + [END_ID], dtype=np.int32)


def make_sample(key: str, number: int) -> EncodedSample:
    """A sample as the rasterize stage writes it, of a picture with some ink."""
    rng = np.random.default_rng(number)
    pixels = np.full((HEIGHT_PX, WIDTH_PX), 255, dtype=np.uint8)
    left, top = rng.integers(0, WIDTH_PX - 20), rng.integers(0, HEIGHT_PX - 10)
    pixels[top : top + 10, left : left + 20] = rng.integers(0, 256, (10, 20))
    label = str(rng.integers(1, 10 ** int(rng.integers(1, 9))))
    description = {
        "label": f"${label}$",
        "normalized_label": label,
        "writer": None if number % 3 else f"writer{number}",
        "source": f"archive.zip/{key}.inkml",
        "num_strokes": 3,
        "extent": [20.0, 10.5],
    }
    return EncodedSample(key=key, label=label, png=encode_png(pixels), token_ids=ids_of(label), description=description)


def make_folder(folder: Path) -> None:
    """Three shards of forty samples, in two splits."""
    folder.mkdir()
    rows, splits = [], {"train": {"num_samples": 0, "shards": []}, "test": {"num_samples": 0, "shards": []}}
    for place, (split, number) in enumerate(SHARDS):
        numbers = range(place * SAMPLES_PER_SHARD, (place + 1) * SAMPLES_PER_SHARD)
        samples = (make_sample(f"{split}/writer{index % 7}/ink{index:03d}", index) for index in numbers)
        shard, table = write_shard(folder, split=split, number=number, samples=samples)
        entry: dict[str, Any] = splits[split]
        entry["num_samples"] += shard.num_samples
        entry["shards"].append({name: getattr(shard, name) for name in ("name", "num_samples", "num_bytes", "sha256")})
        rows.append(table)
    write_parquet(folder / INDEX_NAME, pa.concat_tables(rows))
    params = {"height_px": HEIGHT_PX, "width_px": WIDTH_PX}
    write_manifest(folder, Manifest(kind="shards", version=1, params=params, inputs={}, content={"splits": splits}))


def open_original(folder: Path) -> Original:
    """Look at a folder of :func:`make_folder`."""
    indexes = {split: open_split(folder, split) for split in ("train", "test")}
    spans: dict[str, dict[str, tuple[int, int]]] = {}
    samples = {}
    for split, index in indexes.items():
        ends = index.json_offset + -(-index.json_bytes // 512) * 512
        starts = index.png_offset - 512
        for row, key in enumerate(index.keys.to_pylist()):
            shard = index.shards[index.shard_ids[row]]
            spans.setdefault(shard, {})[key] = (int(starts[row]), int(ends[row]))
        with SampleReader(index) as reader:
            samples[split] = reader.read(range(len(index)))
    return Original(folder=folder, spans=spans, indexes=indexes, samples=samples)


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Overwrite or cut a random range: lengths of every order from a byte to the whole."""
    length = int(len(data) ** rng.random())
    start = int(rng.integers(0, len(data) - length + 1))
    head, middle, tail = data[:start], data[start : start + length], data[start + length :]
    match rng.integers(0, 6):
        case 0:
            return head + rng.bytes(length) + tail
        case 1:
            return head + bytes(length) + tail
        case 2:  # a bit
            return head + bytes([middle[0] ^ (1 << int(rng.integers(0, 8)))]) + middle[1:] + tail
        case 3:  # bytes of another place, such as blocks that a file system mixed up
            other = int(rng.integers(0, len(data) - length + 1))
            return head + data[other : other + length] + tail
        case 4:
            return head + tail
        case _:
            return head


def changed_keys(before: bytes, after: bytes, spans: dict[str, tuple[int, int]]) -> set[str]:
    """Keys of the samples that are not as they were where the index says that they are."""
    return {key for key, (start, end) in spans.items() if before[start:end] != after[start:end]}


def quiet_verify(folder: Path, report: Path) -> Verification:
    """`verify` without its progress."""
    with contextlib.redirect_stderr(io.StringIO()):
        return verify(folder, encode=lambda labels: list(map(ids_of, labels)), engine=Here(), report=report)


def stream_faults(original: Original, folder: Path) -> Iterator[str]:
    """What the stream yields that is neither the original nor an error; the loader was opened before the damage."""
    for split, index in original.indexes.items():
        here = replace(index, folder=folder)
        wanted = original.samples[split]
        with SampleReader(here) as reader:
            for row, sample in enumerate(wanted):
                try:
                    found = reader.read([row])[0]
                except LatexifyError:
                    continue
                if not _equal(found, sample):
                    yield f"reader: {sample.key}"
        yield from _batch_faults(here, wanted)


def _equal(found: Sample, wanted: Sample) -> bool:
    same = np.array_equal(found.pixels, wanted.pixels) and np.array_equal(found.token_ids, wanted.token_ids)
    return same and (found.key, found.label) == (wanted.key, wanted.label)


def _batch_faults(index: SplitIndex, wanted: list[Sample]) -> Iterator[str]:
    params = TrainParams(global_batch=8, micro_batch=4, warmup_steps=1, loader_workers=0)
    loader = open_loader(index, params, seed=1, start=Position(), pin_memory=False)
    for batch in islice(loader, len(index) // 4):
        if not isinstance(batch, MicroBatch):
            continue
        known = {damage.row for damage in batch.damaged}
        for place, row in enumerate(batch.spec.rows.tolist()):
            labels = batch.labels[place].numpy()
            same = np.array_equal(batch.pixels[place].numpy(), wanted[row].pixels) and np.array_equal(
                labels[labels >= 0], wanted[row].token_ids
            )
            if row not in known and not same:
                yield f"batches: {wanted[row].key}"


def run_trial(original: Original, folder: Path, rng: np.random.Generator) -> tuple[list[str], Counter[str]]:
    """Damage one shard of `folder`, look, and mend it. Returns what got by, and counts."""
    split, number = SHARDS[rng.integers(0, len(SHARDS))]
    path = folder / f"{split}-{number:05d}.tar"
    before = path.read_bytes()
    after = damaged(before, rng)
    path.write_bytes(after)
    found = quiet_verify(folder, folder.parent / "report.jsonl")
    lines = map(json.loads, (folder.parent / "report.jsonl").read_text(encoding="utf-8").splitlines())
    named = {line["key"] for line in lines if line["key"]}
    expected = changed_keys(before, after, original.spans[path.name])
    faults = list(stream_faults(original, folder))
    if (before != after) != (found.damaged_shards == {path.name}):
        faults.append(f"verify: {path.name} changed: {before != after}, found: {found.damaged_shards}")
    if named != expected:
        faults.append(f"verify: {sorted(named)} in place of {sorted(expected)}")
    path.write_bytes(before)
    counts = Counter(trials=1, unchanged=before == after, damaged_samples=len(expected))
    counts["no_sample_damaged"] = before != after and not expected
    return faults, counts


def run_trials(folder: Path, *, num_trials: int, seed: int) -> tuple[list[str], Counter[str]]:
    """Run trials in the empty folder `folder`. Returns all that got by, and counts."""
    make_folder(folder / "original")
    original = open_original(folder / "original")
    shutil.copytree(folder / "original", folder / "damaged")
    rng = np.random.default_rng(seed)
    faults: list[str] = []
    counts: Counter[str] = Counter()
    for _ in range(num_trials):
        more_faults, more = run_trial(original, folder / "damaged", rng)
        faults += more_faults
        counts += more
    return faults, counts


def main() -> None:
    """Print the counts; exit code 1 where anything got by."""
    num_trials = int(sys.argv[1]) if len(sys.argv) > 1 else NUM_TRIALS
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        faults, counts = run_trials(Path(folder), num_trials=num_trials, seed=1)
    print(
        f"{num_trials} damaged shards in {time.perf_counter() - started:.0f} s: {counts['damaged_samples']} samples "
        f"damaged; {counts['no_sample_damaged']} times the end of the tar only, {counts['unchanged']} times nothing; "
        f"{len(faults)} got by"
    )
    print("\n".join(faults[:20]))
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()

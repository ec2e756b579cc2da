"""Inks, a tokenizer and faults for the tests of the rasterize stage; importable from worker processes."""

import errno
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from latexify.artifacts.location import Location
from latexify.artifacts.manifest import Manifest, write_manifest
from latexify.pipeline.config import RasterizeParams
from latexify.pipeline.engine.engine import Engine
from latexify.pipeline.inks.schemas import INK_SCHEMA
from latexify.pipeline.inks.table import part_name
from latexify.pipeline.rasterize.stage import run
from latexify.pipeline.rasterize.worker import draw_shard
from latexify.pipeline.vocab.tokenizer import special_facts

PARAMS = RasterizeParams(height_px=16, width_px=40, margin_px=1.0, max_tokens=6, samples_per_shard=7)
Rasterize = Callable[..., dict[str, Any]]
LETTERS = "abcdefghij"
INKS_MANIFEST = Manifest(kind="inks", version=1, params={}, inputs={})


def strokes_of(number: int) -> list[np.ndarray]:
    """An ink of one to three strokes, one of them a dot."""
    rng = np.random.default_rng(number)
    lines = [rng.uniform(0, 50, (rng.integers(2, 9), 2)) for _ in range(number % 3)]
    return [stroke.astype(np.float32) for stroke in [*lines, rng.uniform(0, 50, (1, 2))]]


def ink_row(number: int, split: str, label: str) -> dict[str, Any]:
    """A row of `INK_SCHEMA`."""
    strokes = strokes_of(number)
    return {
        "key": f"{split}/writer{number % 4}/ink{number:03d}",
        "split": split,
        "label": f"${label}$",
        "normalized_label": label,
        "points": np.concatenate(strokes).ravel(),
        "stroke_lengths": [len(stroke) for stroke in strokes],
        "writer": None if number % 4 == 0 else f"writer{number % 4}",
        "source": f"archive.zip:{number}",
        "content_hash": f"{number:032x}",
        "num_strokes": len(strokes),
        "num_points": sum(map(len, strokes)),
    }


def write_inks(folder: Path, rows: list[dict[str, Any]], *, rows_per_part: int = 13) -> Path:
    """An inks folder as ingest writes it."""
    folder.mkdir(parents=True)
    parts = []
    for part, start in enumerate(range(0, len(rows), rows_per_part)):
        table = pa.Table.from_pylist(rows[start : start + rows_per_part], schema=INK_SCHEMA)
        pq.write_table(table, folder / part_name(part), row_group_size=5)
        parts.append({"name": part_name(part)})
    write_manifest(folder, replace(INKS_MANIFEST, content={"parts": parts}))
    return folder


def some_rows() -> list[dict[str, Any]]:
    """Thirty training inks, two of them with long labels, four to validate, five to test, one of these long."""
    training = [ink_row(number, "train", LETTERS[: 8 if number in (3, 20) else 1 + number % 4]) for number in range(30)]
    valid = [ink_row(number, "valid", "ab") for number in range(100, 104)]
    test = [ink_row(number, "test", LETTERS if number == 200 else "c") for number in range(204, 199, -1)]
    return [*test, *training, *valid]


def write_tokenizer(folder: Path) -> Path:
    """A tokenizer folder: a token for each letter."""
    special = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    names = [*special.values(), *LETTERS]
    model = Tokenizer(models.WordLevel({name: token_id for token_id, name in enumerate(names)}, unk_token="<unk>"))
    model.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=model, **special)
    tokenizer.save_pretrained(folder)
    inputs = {"inks": INKS_MANIFEST.fingerprint}
    write_manifest(
        folder, Manifest(kind="tokenizer", version=1, params={}, inputs=inputs, content=special_facts(tokenizer))
    )
    return folder


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Content of every file of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def runner(folder: Path, tokenizer: Path) -> Rasterize:
    """A function that runs the stage on an inks folder into folder/out."""

    def call(
        inks: Location, *, params: RasterizeParams = PARAMS, out: str | Location = "out", **options: Any
    ) -> dict[str, Any]:
        options = {"tokenizer": tokenizer, "engine": Engine(), "seed": 1, **options}
        location = folder / out if isinstance(out, str) else out
        return run(params, inks=inks, out=location, metrics=folder / "metrics" / "rasterize.json", **options)

    return call


def run_alone(inks: Path, tokenizer: Path, out: Path, params: RasterizeParams) -> None:
    """Run the stage in a process without children, which can be killed whole."""
    engine = Engine(backend="threading", jobs=2)
    run(params, seed=1, inks=inks, tokenizer=tokenizer, out=out, metrics=out.with_suffix(".json"), engine=engine)


def render_on_a_full_disk(index: int, *args: Any, **options: Any) -> Any:
    """Stands for `draw_shard`: the disk is full when the third shard is written."""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with mock.patch("os.fsync", side_effect=full if index == 2 else None):
        return draw_shard(index, *args, **options)


def render_and_be_killed(index: int, *args: Any, **options: Any) -> Any:
    """Stands for `draw_shard`: the system kills the worker of the third shard."""
    if index == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return draw_shard(index, *args, **options)

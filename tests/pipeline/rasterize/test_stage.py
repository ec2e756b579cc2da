"""The rasterize stage: inks and a tokenizer in, whole and reproducible shards out."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from latexify.artifacts.manifest import Manifest, read_manifest, write_manifest
from latexify.artifacts.names import INKS, SHARDS, TOKENIZER
from latexify.common.errors import LatexifyError
from latexify.pipeline.drawing.draw import Canvas, draw_ink
from latexify.pipeline.engine.engine import Backend, Engine
from latexify.shards.format.index import open_split
from latexify.shards.reading.reader import SampleReader
from tests.support.rasterize_data import LETTERS, PARAMS, Rasterize, bytes_of, some_rows, strokes_of, write_inks


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """Inks of all splits."""
    return some_rows()


def test_samples_are_their_inks(rasterize: Rasterize, inks: Path, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """A picture beside the label of another ink cannot be learnt, and nobody would see why."""
    rasterize(inks)
    canvas = Canvas(height_px=16, width_px=40, margin_px=1.0, pen_width_px=PARAMS.pen_width_px)
    by_key = {row["key"]: row for row in rows}
    seen = []
    for split in ("train", "valid", "test"):
        index = open_split(tmp_path / "out", split)
        with SampleReader(index) as reader:
            every = range(len(index))
            for sample, description in zip(reader.read(every), reader.describe(every), strict=True):
                row = by_key[sample.key]
                number = int(sample.key[-3:])
                seen.append(sample.key)
                assert row["split"] == split
                assert np.array_equal(sample.pixels, draw_ink(strokes_of(number), canvas))
                assert sample.label == row["normalized_label"]
                assert sample.token_ids.tolist() == [4 + LETTERS.index(letter) for letter in sample.label] + [2]
                points = np.concatenate(strokes_of(number)).astype(float)
                assert description == {
                    **{name: row[name] for name in ("label", "normalized_label", "writer", "source", "num_strokes")},
                    "extent": np.ptp(points, axis=0).tolist(),
                    "variant": 0,
                }
    rejected = pq.read_table(tmp_path / "out" / "rejects.parquet")["key"].to_pylist()
    assert sorted([*seen, *rejected]) == sorted(by_key), "every ink is written or rejected, once"


def test_long_labels_are_rejected_from_training_alone(rasterize: Rasterize, inks: Path, tmp_path: Path) -> None:
    """Cutting labels would teach wrong ends; dropping them from the test would flatter the score."""
    metrics = rasterize(inks)
    rejects = pq.read_table(tmp_path / "out" / "rejects.parquet").to_pylist()
    assert [(row["key"], row["reason"]) for row in rejects] == [
        ("train/writer0/ink020", "long-label"),
        ("train/writer3/ink003", "long-label"),
    ]
    assert rejects[0]["detail"] == "9 tokens, at most 6 (rasterize.max_tokens)"
    assert open_split(tmp_path / "out", "test").num_tokens.max() == 11
    assert open_split(tmp_path / "out", "train").num_tokens.max() <= 6
    assert metrics["rejected"] == {"long-label": 2}


def test_metrics_and_manifest_count_alike(rasterize: Rasterize, inks: Path, tmp_path: Path, tokenizer: Path) -> None:
    """DVC compares runs by these figures, and every consumer trusts the manifest."""
    metrics = rasterize(inks)
    assert json.loads((tmp_path / "metrics" / "rasterize.json").read_text()) == metrics
    assert metrics["samples"] == {"train": 28, "valid": 4, "test": 5}
    assert metrics["shards"] == {"train": 4, "valid": 1, "test": 1}
    tars = list((tmp_path / "out").glob("*.tar"))
    assert metrics["num_bytes"] == sum(tar.stat().st_size for tar in tars)
    lengths = np.concatenate([open_split(tmp_path / "out", split).num_tokens for split in metrics["samples"]])
    assert metrics["mean_tokens"] == pytest.approx(lengths.mean())
    manifest = read_manifest(tmp_path / "out", SHARDS)
    assert manifest.params == PARAMS.model_dump(exclude={"width_step_px", "height_step_px"})
    for artifact, folder in ((INKS, inks), (TOKENIZER, tokenizer)):
        assert manifest.inputs[artifact.kind] == read_manifest(folder, artifact).fingerprint
    listed = [shard["name"] for split in manifest.content["splits"].values() for shard in split["shards"]]
    assert sorted(listed) == sorted(tar.name for tar in tars)


@pytest.mark.parametrize(("jobs", "backend"), [(2, "loky"), (2, "threading"), (3, "threading")])
def test_bytes_do_not_depend_on_jobs_or_backend(
    rasterize: Rasterize, inks: Path, tmp_path: Path, jobs: int, backend: Backend
) -> None:
    """DVC on another machine would see other data, and train anew."""
    rasterize(inks, out="alone")
    rasterize(inks, out="parallel", engine=Engine(jobs=jobs, backend=backend))
    assert bytes_of(tmp_path / "alone") == bytes_of(tmp_path / "parallel")


def test_bytes_do_not_depend_on_the_order_of_inks(
    rasterize: Rasterize, inks: Path, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Parts written in another order or size hold the same inks, so they are the same shards."""
    rasterize(inks, out="first")
    rasterize(write_inks(tmp_path / "other", rows[::-1], rows_per_part=50), out="second")
    assert bytes_of(tmp_path / "first") == bytes_of(tmp_path / "second")


def test_training_shards_are_mixed_and_evaluation_is_in_order(rasterize: Rasterize, inks: Path, tmp_path: Path) -> None:
    """A shard of one writer makes biased batches; a person looks for test samples by key."""
    rasterize(inks)
    train, test = (open_split(tmp_path / "out", split) for split in ("train", "test"))
    writers = [key.split("/")[1] for key in train.keys.to_pylist()]
    for shard in range(len(train.shards)):
        assert len({writer for writer, of in zip(writers, train.shard_ids, strict=True) if of == shard}) > 1
    assert train.keys.to_pylist() != sorted(train.keys.to_pylist())
    assert test.keys.to_pylist() == sorted(test.keys.to_pylist())
    assert np.bincount(train.shard_ids).tolist() == [7, 7, 7, 7]


def test_a_split_may_be_empty(rasterize: Rasterize, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """A dataset to evaluate on has no training inks."""
    inks = write_inks(tmp_path / "only", [row for row in rows if row["split"] == "test"])
    assert rasterize(inks)["samples"] == {"train": 0, "valid": 0, "test": 5}
    assert len(open_split(tmp_path / "out", "test")) == 5


def test_nothing_to_draw_is_said(rasterize: Rasterize, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    """Without a word, training would fail on an empty folder."""
    with pytest.raises(LatexifyError, match="nothing to draw"):
        rasterize(write_inks(tmp_path / "none", []))
    long = [row for row in rows if len(row["normalized_label"]) == 8]
    with pytest.raises(LatexifyError, match="nothing to draw: 2 labels are too long"):
        rasterize(write_inks(tmp_path / "long", long))


def test_inputs_are_checked(rasterize: Rasterize, inks: Path, tokenizer: Path, tmp_path: Path) -> None:
    """Token ids of a tokenizer made for other inks would be full of unknown tokens."""
    with pytest.raises(LatexifyError, match="latexify ingest"):
        rasterize(tmp_path / "nowhere")
    with pytest.raises(LatexifyError, match="latexify vocab"):
        rasterize(inks, tokenizer=tmp_path / "nowhere")
    other = shutil.copytree(tokenizer, tmp_path / "tokenizer")
    write_manifest(other, Manifest(kind="tokenizer", version=1, params={}, inputs={"inks": "0123456789abcdef"}))
    with pytest.raises(LatexifyError, match="made from another inks"):
        rasterize(inks, tokenizer=other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "dev"}, "of split 'dev'"),
        ({"key": "train/a.b"}, r"'train/a\.b' cannot name a sample"),
        ({"points": [float("nan"), 0.0], "stroke_lengths": [1]}, "ink 'train/writer1/ink001': .*not a finite number"),
    ],
)
def test_inks_that_break_the_contract_are_named(
    rasterize: Rasterize, rows: list[dict[str, Any]], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    """Inks made by another program must fail by name, also from a worker, and leave nothing that looks whole."""
    broken = [{**row, **change} if row["key"] == "train/writer1/ink001" else row for row in rows]
    with pytest.raises(LatexifyError, match=message):
        rasterize(write_inks(tmp_path / "broken", broken), engine=Engine(jobs=2))
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "metrics").exists()


def test_a_second_run_replaces_the_first(rasterize: Rasterize, inks: Path, tmp_path: Path) -> None:
    """Shards of an older run beside the new ones would be pushed with them."""
    rasterize(inks, params=PARAMS.model_copy(update={"samples_per_shard": 2}))
    rasterize(inks)
    assert len(list((tmp_path / "out").glob("train-*.tar"))) == 4


@pytest.mark.parametrize("split", ["train", "test"])
def test_two_inks_of_one_key_are_named(
    rasterize: Rasterize, rows: list[dict[str, Any]], tmp_path: Path, split: str
) -> None:
    """One would hide the other wherever samples are told apart by their keys; said before hours of drawing."""
    twin = {**rows[-1], "key": "train/writer1/ink001", "split": split}
    with pytest.raises(LatexifyError, match="more than one ink 'train/writer1/ink001'"):
        rasterize(write_inks(tmp_path / "inks", [*rows, twin]))

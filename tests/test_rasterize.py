"""The rasterize stage: inks and a tokenizer in, whole and reproducible shards out."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from pipeline.config import RasterizeParams
from pipeline.draw import Canvas, draw_ink
from pipeline.engine import Backend, Engine
from pipeline.ink import INK_SCHEMA
from pipeline.rasterize import run
from shards.errors import LatexifyError
from shards.index import open_split
from shards.manifest import Manifest, read_manifest, write_manifest
from shards.reader import SampleReader

PARAMS = RasterizeParams(height_px=16, width_px=40, margin_px=1.0, max_tokens=6, samples_per_shard=7)
LETTERS = "abcdefghij"
INKS = Manifest(kind="inks", version=1, params={}, inputs={})


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
    for part, start in enumerate(range(0, len(rows), rows_per_part)):
        table = pa.Table.from_pylist(rows[start : start + rows_per_part], schema=INK_SCHEMA)
        pq.write_table(table, folder / f"part-{part:05d}.parquet", row_group_size=5)
    write_manifest(folder, INKS)
    return folder


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """Thirty training inks, two of them with long labels, four to validate, five to test, one of these long."""
    training = [ink_row(number, "train", LETTERS[: 8 if number in (3, 20) else 1 + number % 4]) for number in range(30)]
    valid = [ink_row(number, "valid", "ab") for number in range(100, 104)]
    test = [ink_row(number, "test", LETTERS if number == 200 else "c") for number in range(204, 199, -1)]
    return [*test, *training, *valid]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer folder: a token for each letter."""
    folder = tmp_path_factory.mktemp("data") / "tokenizer"
    special = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    names = [*special.values(), *LETTERS]
    model = Tokenizer(models.WordLevel({name: place for place, name in enumerate(names)}, unk_token="<unk>"))
    model.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    PreTrainedTokenizerFast(tokenizer_object=model, **special).save_pretrained(folder)
    write_manifest(folder, Manifest(kind="tokenizer", version=1, params={}, inputs={"inks": INKS.fingerprint}))
    return folder


Rasterize = Callable[..., dict[str, Any]]


@pytest.fixture
def rasterize(tmp_path: Path, tokenizer: Path) -> Rasterize:
    """Run the stage on an inks folder into tmp_path/out."""

    def call(inks: Path, *, params: RasterizeParams = PARAMS, out: str = "out", **options: Any) -> dict[str, Any]:
        options = {"tokenizer": tokenizer, "engine": Engine(), **options}
        return run(params, inks=inks, out=tmp_path / out, metrics=tmp_path / "metrics" / "rasterize.json", **options)

    return call


@pytest.fixture
def inks(tmp_path: Path, rows: list[dict[str, Any]]) -> Path:
    """The inks folder of `rows`."""
    return write_inks(tmp_path / "inks", rows)


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Content of every file of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


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
    manifest = read_manifest(tmp_path / "out", "shards", made_by="the test")
    assert manifest.params == PARAMS.model_dump()
    for kind, folder in (("inks", inks), ("tokenizer", tokenizer)):
        assert manifest.inputs[kind] == read_manifest(folder, kind, made_by="the test").fingerprint
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
    """Inks made by another program must fail by name, also from a worker, and leave no half-written folder."""
    broken = [{**row, **change} if row["key"] == "train/writer1/ink001" else row for row in rows]
    with pytest.raises(LatexifyError, match=message):
        rasterize(write_inks(tmp_path / "broken", broken), engine=Engine(jobs=2))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken"]


def test_a_second_run_replaces_the_first(rasterize: Rasterize, inks: Path, tmp_path: Path) -> None:
    """Shards of an older run beside the new ones would be pushed with them."""
    rasterize(inks, params=PARAMS.model_copy(update={"samples_per_shard": 2}))
    rasterize(inks)
    assert len(list((tmp_path / "out").glob("train-*.tar"))) == 4

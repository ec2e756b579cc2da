"""Inks folders with given labels, and the stage vocab on them."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from latexify.artifacts.manifest import Manifest, write_manifest
from latexify.pipeline.config import VocabParams
from latexify.pipeline.inks.schemas import INK_SCHEMA
from latexify.pipeline.vocab.stage import run

TRAIN = [r"\frac{1}{2}", r"x^{2}", r"\alpha b+\alpha", r"a<s>b", r"\mathbb{R}", r"x^{2}"]
EVALUATION = [r"x_{1}", "</s>", r"\beta x"]


def write_inks(folder: Path, labels: dict[str, list[str]]) -> Path:
    """Write an inks folder that holds `labels` by split; strokes do not matter here."""
    folder.mkdir()
    empty: dict[str, Any] = {"points": [], "stroke_lengths": [], "writer": None, "source": "s", "content_hash": "h"}
    rows = [
        {"key": f"{split}/{index}", "split": split, "label": label, "normalized_label": label}
        | empty
        | {"num_strokes": 0, "num_points": 0}
        for split, texts in labels.items()
        for index, label in enumerate(texts)
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=INK_SCHEMA), folder / "part-00000.parquet")
    parts = [{"name": "part-00000.parquet", "num_rows": len(rows)}]
    write_manifest(folder, Manifest(kind="inks", version=1, params={}, inputs={}, content={"parts": parts}))
    return folder


def run_vocab(tmp_path: Path, *, base: str = "scratch", **params: Any) -> tuple[Path, dict[str, Any]]:
    """Run the stage on TRAIN and EVALUATION; the tokenizer folder and the metrics."""
    tmp_path.mkdir(exist_ok=True)
    inks = write_inks(tmp_path / "inks", {"train": TRAIN, "valid": TRAIN[:1], "test": EVALUATION})
    out = tmp_path / "tokenizer"
    metrics = run(VocabParams(**params), base=base, inks=inks, out=out, metrics=tmp_path / "metrics/vocab.json")
    return out, metrics


def run_on(labels: list[str], tmp_path: Path, **params: Any) -> tuple[Path, dict[str, Any]]:
    """Run the stage on these training labels; the tokenizer folder and the metrics."""
    inks = write_inks(tmp_path / "inks", {"train": labels})
    out = tmp_path / "tokenizer"
    metrics = run(VocabParams(**params), base="scratch", inks=inks, out=out, metrics=tmp_path / "metrics/vocab.json")
    return out, metrics

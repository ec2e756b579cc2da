"""The score stage and `latexify score FILE`."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eval.config import ScoreParams
from eval.score import describe, run, run_file
from pipeline.latex import NORMALIZER_VERSION
from shards.errors import LatexifyError
from shards.manifest import Manifest, write_manifest

PARAMS = ScoreParams(bootstrap_samples=100)
TRUE = [r"x_{1}^{2}", r"\frac{a}{b}", "12", 'y,"z"']
READ = [r"x^2_1", r"\frac{a}{c}", "12", ""]


def write_table(path: Path, columns: dict[str, Any]) -> Path:
    """The columns in the format that the suffix names."""
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
    elif path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(columns))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_predictions(folder: Path, references: list[str], predictions: list[str], **params: Any) -> Path:
    """A predictions folder with the columns that the score reads."""
    folder.mkdir()
    pq.write_table(pa.table({"reference": references, "prediction": predictions}), folder / "predictions.parquet")
    params = {"split": "test", "normalizer_version": NORMALIZER_VERSION, **params}
    write_manifest(folder, Manifest(kind="predictions", version=1, params=params, inputs={}))
    return folder


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_any_table_gets_the_same_score(tmp_path: Path, suffix: str) -> None:
    """The format of the file is not a property of the model."""
    file = write_table(tmp_path / f"other{suffix}", {"id": [1, 2, 3, 4], "truth": TRUE, "output": READ})
    result = run_file(PARAMS, file=file, seed=1, reference_column="truth", prediction_column="output")
    assert (result["num_samples"], result["num_exact"], result["char_errors"]) == (4, 2, 6)
    assert result["normalizer_version"] == NORMALIZER_VERSION


def test_terminal_shows_every_figure(tmp_path: Path) -> None:
    """`latexify score FILE` writes no file: what it prints is all there is."""
    file = write_table(tmp_path / "a.csv", {"reference": TRUE, "prediction": READ})
    text = describe(run_file(PARAMS, file=file, seed=1))
    assert "4 samples" in text
    assert "exact match             50.0%" in text
    assert "best constant answer" in text


def test_without_normalising_the_text_counts_as_it_stands(tmp_path: Path) -> None:
    """Published figures without normalisation must be reproducible too."""
    file = write_table(tmp_path / "a.csv", {"reference": TRUE, "prediction": READ})
    result = run_file(PARAMS, file=file, seed=1, normalize=False)
    assert result["num_exact"] == 1
    assert result["normalizer_version"] is None


def test_labels_that_look_like_numbers_or_nulls_stay_text(tmp_path: Path) -> None:
    """CSV readers guess: `007` would become 7 and `NA` nothing."""
    file = write_table(tmp_path / "a.csv", {"reference": ["007", "NA", "1e5"], "prediction": ["007", "NA", "1e5"]})
    result = run_file(PARAMS, file=file, seed=1)
    assert (result["num_exact"], result["num_chars"]) == (3, 8)


def test_a_missing_prediction_counts_as_empty(tmp_path: Path) -> None:
    """A sample that failed must not leave the denominator."""
    file = write_table(tmp_path / "a.jsonl", {"reference": ["ab", "cd"], "prediction": [None, "cd"]})
    assert run_file(PARAMS, file=file, seed=1)["cer"]["value"] == 0.5


@pytest.mark.parametrize(
    ("name", "columns", "message"),
    [
        ("a.csv", {"truth": ["a"], "guess": ["a"]}, "no column 'reference'; it has: truth, guess"),
        ("a.parquet", {"reference": [1], "prediction": ["a"]}, "'reference' holds int64, expected text"),
        ("a.jsonl", {"reference": ["a", None], "prediction": ["a", "b"]}, "no value in row 2"),
        ("a.csv", {"reference": [" ", ""], "prediction": ["a", "b"]}, "every reference is empty"),
        ("a.txt", {"reference": ["a"], "prediction": ["a"]}, "use .parquet, .csv, .jsonl, .ndjson"),
        ("a.parquet", {"reference": pa.array([], pa.string()), "prediction": []}, "holds no samples"),
    ],
)
def test_unusable_files_are_one_clear_line(tmp_path: Path, name: str, columns: dict[str, Any], message: str) -> None:
    """A wrong column name is the commonest mistake: say what there is."""
    file = write_table(tmp_path / name, columns)
    with pytest.raises(LatexifyError, match=message) as raised:
        run_file(PARAMS, file=file, seed=1)
    assert "\n" not in str(raised.value)


def test_damaged_and_absent_files_are_errors(tmp_path: Path) -> None:
    """Neither is a bug of ours, so neither gets a traceback."""
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no")
    for name, message in (("a.parquet", "cannot be read"), ("b.csv", "not found")):
        with pytest.raises(LatexifyError, match=message):
            run_file(PARAMS, file=tmp_path / name, seed=1)


def test_stage_writes_metrics_and_plots(tmp_path: Path) -> None:
    """DVC shows these files; their columns are named in dvc.yaml."""
    predictions = write_predictions(tmp_path / "predictions", ["ab", "abcdefg", "a"], ["ab", "abcdefx", ""])
    metrics, plots = tmp_path / "metrics" / "score.json", tmp_path / "plots"
    result = run(PARAMS, seed=1, predictions=predictions, metrics=metrics, plots=plots)
    assert json.loads(metrics.read_text(encoding="utf-8")) == result
    assert result["cer"]["value"] == pytest.approx(2 / 10)
    assert result["constant_answer"]["cer"] >= result["cer"]["value"]
    with (plots / "error_by_length.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["symbols"], row["num_samples"]) for row in rows] == [("1-5", "2"), ("6-10", "1")]
    with (plots / "token_errors.csv").open(encoding="utf-8") as file:
        counts = [int(row["num_samples"]) for row in csv.DictReader(file)]
    assert counts[:2] == [1, 2]
    assert sum(counts) == 3


def test_score_is_the_same_twice(tmp_path: Path) -> None:
    """`dvc repro` compares files by their bytes."""
    predictions = write_predictions(tmp_path / "predictions", TRUE, READ)
    for name in ("one", "two"):
        run(PARAMS, seed=3, predictions=predictions, metrics=tmp_path / f"{name}.json", plots=tmp_path / name)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_predictions_of_another_normaliser_are_refused(tmp_path: Path) -> None:
    """Two normalisers differ by points of CER: their figures must not be mixed."""
    predictions = write_predictions(tmp_path / "predictions", TRUE, READ, normalizer_version=-1)
    with pytest.raises(LatexifyError, match="latexify predict"):
        run(PARAMS, seed=1, predictions=predictions, metrics=tmp_path / "m.json", plots=tmp_path)

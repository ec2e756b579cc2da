"""The score stage: predictions of the pipeline, with the shards that they were made from."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from latexify.artifacts.manifest import Manifest, read_manifest, write_manifest
from latexify.artifacts.names import PREDICTIONS, SHARDS
from latexify.common.errors import LatexifyError
from latexify.eval.config import ScoreParams
from latexify.eval.metrics.reliability import calibration_error, chance_error, reliability
from latexify.eval.score.stage import Origins, run, score_predictions
from latexify.eval.score.summary import format_summary
from latexify.pipeline.latex import NORMALIZER_VERSION
from latexify.shards.format.index import open_split
from latexify.shards.format.train_labels import read_train_labels
from tests.support.trainer_data import make_shards

PARAMS = ScoreParams(bootstrap_samples=100)
TRUE = [r"x_{1}^{2}", r"\frac{a}{b}", "12", "abcdefg"]
READ = [r"x_{1}^{2}", r"\frac{a}{c}", "", "abcdefg"]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four validation inks."""
    folder = tmp_path_factory.mktemp("shards")
    make_shards(folder, num_train=2, num_valid=len(TRUE))
    return folder


def write_predictions(folder: Path, shards: Path, *, predictions: list[str] = READ, **params: Any) -> Path:
    """A predictions folder as ``latexify predict`` writes it, with the columns that the score reads."""
    folder.mkdir()
    keys = open_split(shards, "valid").keys
    columns = {"key": keys, "reference": TRUE, "prediction": predictions}
    columns |= {"confidence": [0.9, 0.9, 0.2, 0.2], "probability": [0.99] * len(TRUE)}
    pq.write_table(pa.table(columns), folder / "predictions.parquet")
    params = {"split": "valid", "normalizer_version": NORMALIZER_VERSION, **params}
    inputs = {"shards": read_manifest(shards, SHARDS).fingerprint}
    write_manifest(folder, Manifest(kind="predictions", version=1, params=params, inputs=inputs))
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    """A CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_confidence_is_held_against_what_was_right(tmp_path: Path, shards: Path) -> None:
    """Two of four are right (so READ has it): 90 % and 20 % sure are 40 % and 30 % off; 99 % is 49 % off."""
    folder = write_predictions(tmp_path / "predictions", shards)
    metrics, plots = tmp_path / "score.json", tmp_path / "plots"
    found = run(PARAMS, seed=1, predictions=folder, shards=shards, metrics=metrics, plots=plots)["calibration"]
    assert found.pop("ece_chance") > 0
    assert found == {"is_calibrated": False, "ece": pytest.approx(0.35), "error_raw": pytest.approx(0.49)}
    rows = rows_of(plots / "reliability.csv")
    assert [(row["confidence"], row["num_samples"], row["right"]) for row in rows] == [("raw", "4", "0.5")]


def test_chance_is_what_true_confidences_have() -> None:
    """An error of 5 % of 300 predictions is no fault, of 30,000 it is one."""
    generator = np.random.default_rng(1)
    for number, most in ((300, 0.06), (30_000, 0.006)):
        confidences = generator.random(number)
        chance = chance_error(confidences, num_resamples=200, seed=1)
        assert 0 < chance < most
        assert chance == chance_error(confidences, num_resamples=200, seed=1)
        own = [calibration_error(reliability(confidences, generator.random(number) < confidences)) for _ in range(100)]
        assert chance == pytest.approx(np.mean(own), rel=0.1)
    assert chance_error([0.0, 1.0], num_resamples=10, seed=1) == 0


def test_formulas_in_training_are_told_from_new_ones(tmp_path: Path, shards: Path) -> None:
    """A formula that is known by heart says little about the next one."""
    trained = open_split(shards, "train").labels[0].as_py()
    folder = write_predictions(tmp_path / "predictions", shards)
    labels = pa.array([TRUE[0], TRUE[1], trained, trained])
    index = replace(open_split(shards, "valid"), labels=labels)
    found = Origins.in_index(index, index.keys.to_pylist()[1:3], train_labels=read_train_labels(shards))
    assert found.is_trained == [False, True]
    scored = score_predictions(
        PARAMS,
        seed=1,
        predictions=folder,
        manifest=read_manifest(folder, PREDICTIONS),
        origins_of=lambda keys: Origins(writers=[None] * len(keys), is_trained=[True, False, False, True]),
    )
    scored.write(metrics=tmp_path / "score.json", plots=tmp_path / "plots")
    rows = {row["formula"]: row for row in rows_of(tmp_path / "plots/error_by_training.csv")}
    assert {name: (row["num_samples"], row["exact_match"]) for name, row in rows.items()} == {
        "in_training": ("2", "1.0"),
        "new": ("2", "0.0"),
    }
    assert scored.result["formulas"]["new"]["num_samples"] == 2
    assert re.search(r"new formulas +0\.0% .* exact of 2", format_summary(scored.result))
    run(PARAMS, seed=1, predictions=folder, shards=shards, metrics=tmp_path / "score.json", plots=tmp_path / "plots")
    assert json.loads((tmp_path / "score.json").read_text(encoding="utf-8"))["formulas"].keys() == {"new"}


def test_confidence_of_further_answers_is_held_against_what_was_right(tmp_path: Path, shards: Path) -> None:
    """Of four further answers one is right: 40 % and 20 % sure of the same bin are off by 60 % and 20 %."""
    folder = write_predictions(tmp_path / "predictions", shards)
    table = pq.read_table(folder / "predictions.parquet")
    further = [
        [],
        [{"prediction": r"\frac{a}{b}", "confidence": 0.4}],
        [{"prediction": "11", "confidence": 0.2}, {"prediction": "21", "confidence": 0.2}],
        [{"prediction": "abcdef", "confidence": 0.2}],
    ]
    pq.write_table(table.append_column("alternatives", pa.array(further)), folder / "predictions.parquet")
    metrics, plots = tmp_path / "score.json", tmp_path / "plots"
    found = run(PARAMS, seed=1, predictions=folder, shards=shards, metrics=metrics, plots=plots)["calibration"]
    assert found["ece_alternatives"] == pytest.approx((0.6 + 3 * 0.2) / 4)
    assert found["num_alternatives"] == 4
    rows = [row for row in rows_of(plots / "reliability.csv") if row["confidence"] == "alternatives"]
    assert [(row["from"], row["num_samples"], float(row["right"])) for row in rows] == [
        ("0.1", "3", 0.0),
        ("0.3", "1", 1.0),
    ]


def test_predictions_of_an_older_version_are_made_anew(tmp_path: Path, shards: Path) -> None:
    """They do not say how probable the answers were."""
    folder = write_predictions(tmp_path / "predictions", shards)
    table = pq.read_table(folder / "predictions.parquet").drop_columns(["probability"])
    pq.write_table(table, folder / "predictions.parquet")
    metrics, plots = tmp_path / "score.json", tmp_path / "plots"
    with pytest.raises(LatexifyError, match="older version: run `latexify predict` again"):
        run(PARAMS, seed=1, predictions=folder, shards=shards, metrics=metrics, plots=plots)


def test_stage_writes_metrics_and_tables(shards: Path, tmp_path: Path) -> None:
    """DVC shows these files; their columns are named in dvc.yaml."""
    predictions = write_predictions(tmp_path / "predictions", shards)
    metrics, plots = tmp_path / "metrics" / "score.json", tmp_path / "plots"
    result = run(PARAMS, seed=1, predictions=predictions, shards=shards, metrics=metrics, plots=plots)
    assert json.loads(metrics.read_text(encoding="utf-8")) == result
    assert result["cer"]["value"] == pytest.approx(3 / 29)
    assert result["exact_match"]["value"] == 0.5
    assert result["render_rate"]["value"] == 0.75
    assert result["visual"]["value"] == pytest.approx((1 + 2 / 3 + 0 + 1) / 4)
    assert result["visual_exact"]["value"] == 0.5
    assert result["normalizer"] == f"latexify {NORMALIZER_VERSION}"
    assert metrics.stat().st_size < 4096
    lengths = [(row["symbols"], row["num_samples"]) for row in rows_of(plots / "error_by_length.csv")]
    assert lengths == [("1-5", "1"), ("6-10", "3")]
    assert [int(row["num_samples"]) for row in rows_of(plots / "token_errors.csv")][:3] == [2, 1, 1]
    structures = {row["structure"]: row["num_samples"] for row in rows_of(plots / "error_by_structure.csv")}
    assert structures == {"fraction": "1", "scripts 0 deep": "3", "scripts 1 deep": "1"}
    assert [(row["lines"], row["num_samples"]) for row in rows_of(plots / "error_by_lines.csv")] == [("1", "4")]
    assert [(row["source"], row["num_samples"]) for row in rows_of(plots / "error_by_source.csv")] == [("valid", "4")]
    assert [row["writer"] for row in rows_of(plots / "error_by_writer.csv")] == ["w0", "w1", "w2"]
    assert rows_of(plots / "confusions.csv")[-1] == {
        "kind": "substituted",
        "reference": "b",
        "prediction": "c",
        "count": "1",
    }
    assert {row["symbol"] for row in rows_of(plots / "symbols.csv")} >= {"b", "c", "1"}


def test_samples_are_there_one_by_one_for_the_report(shards: Path, tmp_path: Path) -> None:
    """The report filters its gallery by what is noted here."""
    predictions = write_predictions(tmp_path / "predictions", shards)
    plots = tmp_path / "plots"
    run(PARAMS, seed=1, predictions=predictions, shards=shards, metrics=tmp_path / "m.json", plots=plots)
    samples = pq.read_table(plots / "samples.parquet").to_pylist()
    assert [row["key"] for row in samples] == open_split(shards, "valid").keys.to_pylist()
    assert [row["symbol_errors"] for row in samples] == [0, 1, 2, 0]
    assert [row["renders"] for row in samples] == [True, True, False, True]
    assert samples[1]["structures"] == ["fraction", "scripts 0 deep"]


def test_perfect_predictions_confuse_nothing(shards: Path, tmp_path: Path) -> None:
    """A table without rows must still be a table that DVC can read."""
    predictions = write_predictions(tmp_path / "predictions", shards, predictions=TRUE)
    files: dict[str, Any] = {"metrics": tmp_path / "m.json", "plots": tmp_path / "plots"}
    result = run(PARAMS, seed=1, predictions=predictions, shards=shards, **files)
    assert (result["cer"]["high"], result["visual_exact"]["low"]) == (0, 1)
    assert (tmp_path / "plots" / "confusions.csv").read_text(encoding="utf-8") == "kind,reference,prediction,count\n"


def test_without_typesetting_there_is_no_figure_of_it(shards: Path, tmp_path: Path) -> None:
    """`score.visual: false` is for those in a hurry."""
    predictions = write_predictions(tmp_path / "predictions", shards)
    files: dict[str, Any] = {"metrics": tmp_path / "m.json", "plots": tmp_path / "plots"}
    result = run(PARAMS.model_copy(update={"visual": False}), seed=1, predictions=predictions, shards=shards, **files)
    assert "visual" not in result
    assert "renders" not in pq.read_schema(tmp_path / "plots" / "samples.parquet").names


def test_score_is_the_same_twice(shards: Path, tmp_path: Path) -> None:
    """`dvc repro` compares files by their bytes."""
    predictions = write_predictions(tmp_path / "predictions", shards)
    for name in ("one", "two"):
        files: dict[str, Any] = {"metrics": tmp_path / name / "score.json", "plots": tmp_path / name}
        run(PARAMS, seed=3, predictions=predictions, shards=shards, **files)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(names) == 12
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in names)


def test_predictions_of_another_normaliser_or_other_shards_are_refused(shards: Path, tmp_path: Path) -> None:
    """Two normalisers differ by points of CER, and other shards may have other writers under the same keys."""
    files: dict[str, Any] = {"metrics": tmp_path / "m.json", "plots": tmp_path}
    old = write_predictions(tmp_path / "old", shards, normalizer_version=-1)
    with pytest.raises(LatexifyError, match=r"normalised by version -1.*latexify predict"):
        run(PARAMS, seed=1, predictions=old, shards=shards, **files)
    make_shards(tmp_path / "shards", num_train=4, num_valid=len(TRUE))
    with pytest.raises(LatexifyError, match="made from another shards"):
        run(PARAMS, seed=1, predictions=write_predictions(tmp_path / "p", shards), shards=tmp_path / "shards", **files)


def test_no_key_of_the_metrics_is_called_error(tmp_path: Path, shards: Path) -> None:
    """DVC takes such a key, at any depth, for a failure, and says so at every `dvc metrics show`."""
    folder = write_predictions(tmp_path / "predictions", shards)
    result = run(PARAMS, seed=1, predictions=folder, shards=shards, metrics=tmp_path / "m.json", plots=tmp_path / "p")

    def keys(value: Any) -> set[str]:
        return set(value) | set().union(*map(keys, value.values())) if isinstance(value, dict) else set()

    assert "ece" in keys(result)
    assert "error" not in keys(result)


def test_the_fields_convention_is_beside_the_strict_figure(tmp_path: Path, shards: Path) -> None:
    """Papers forgive what we do not; each figure has its name, here and in the tables."""
    predictions = [r"{x_{1}}^{2}", TRUE[1], TRUE[2], r"\mathrm{abcdefg}"]
    folder = write_predictions(tmp_path / "predictions", shards, predictions=predictions)
    plots = tmp_path / "plots"
    result = run(PARAMS, seed=1, predictions=folder, shards=shards, metrics=tmp_path / "m.json", plots=plots)
    assert (result["num_exact"], result["num_exact_field"]) == (2, 4)
    assert result["exact_match_field"]["value"] == 1
    assert {"exact_match", "exact_match_field", "exact_match_field_low"} <= rows_of(plots / "error_by_length.csv")[
        0
    ].keys()
    assert pq.read_table(plots / "samples.parquet")["field_errors"].to_pylist() == [0, 0, 0, 0]

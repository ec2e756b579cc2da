"""A run to be reported, with hostile labels among the predictions."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from latexify.artifacts.manifest import Manifest, read_manifest, write_manifest
from latexify.artifacts.names import SHARDS
from latexify.eval.config import ReportParams, ScoreParams
from latexify.eval.predict.stage import PREDICTION_SCHEMA
from latexify.eval.report import stage as report
from latexify.eval.score import stage as score
from latexify.pipeline.latex import NORMALIZER_VERSION
from latexify.shards.format.index import open_split
from tests.support.trainer_data import make_shards

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
REFERENCES = ["x+y", r"\frac{x}{y}", HOSTILE, "", "x_{2}", "y", "x", "xy"]
PREDICTIONS = ["x+y", r"\frac{x}{2}", "x", "y", HOSTILE, r"\frac{", "", "xy"]
STAGES: dict[str, dict[str, Any]] = {
    "ingest": {"inputs": 4711, "rows": {"train": 4000}, "rejected": {"no-label": 17}},
    "vocab": {"size": 118},
    "rasterize": {"num_bytes": 123456, "rejected": {}},
    "train": {"valid_cer": 0.321, "steps": 40},
}
HISTORY = "step,train_loss,valid_loss,valid_cer\n20,3.5,,\n40,2.25,2.5,0.625\n"


def make_inputs(folder: Path) -> dict[str, Any]:
    """Write all that a report is made from; the arguments of the stage."""
    folders = {name: folder / name for name in ("shards", "model", "predictions", "metrics")}
    for name in ("model", "predictions", "metrics"):
        folders[name].mkdir()
    make_shards(folders["shards"], num_train=2, num_valid=len(REFERENCES))
    shards = read_manifest(folders["shards"], SHARDS)
    model = Manifest(kind="model", version=1, params={}, inputs={})
    (folders["model"] / "history.csv").write_text(HISTORY, encoding="utf-8")
    write_manifest(folders["model"], model)
    keys = open_split(folders["shards"], "valid").keys
    columns = {"label": REFERENCES, "reference": REFERENCES, "prediction": PREDICTIONS, "prediction_raw": PREDICTIONS}
    sure = {"confidence": [0.75] * len(keys), "probability": [0.9] * len(keys)}
    constant = {**sure, "seconds": [0.0] * len(keys), "num_tokens": [1] * len(keys)}
    constant["alternatives"] = [[{"prediction": REFERENCES[0], "confidence": 0.1}]] * len(keys)
    table = pa.table({"key": keys, **columns, **constant}, schema=PREDICTION_SCHEMA)
    pq.write_table(table, folders["predictions"] / "predictions.parquet")
    params = {"split": "valid", "normalizer_version": NORMALIZER_VERSION}
    made_of = {"model": model.fingerprint, "shards": shards.fingerprint}
    write_manifest(
        folders["predictions"],
        Manifest(kind="predictions", version=1, params=params, inputs=made_of, content={"is_calibrated": True}),
    )
    for name, content in STAGES.items():
        (folders["metrics"] / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    score.run(
        ScoreParams(bootstrap_samples=100),
        seed=1,
        predictions=folders["predictions"],
        shards=folders["shards"],
        metrics=folders["metrics"] / "score.json",
        plots=folder / "plots",
    )
    return {
        "seed": 1,
        "predictions": folders["predictions"],
        "shards": folders["shards"],
        "model": folders["model"],
        "plots": folder / "plots",
        "metrics_folder": folders["metrics"],
        "params_path": folder / "params.yaml",
        "parameters": {"seed": 1, "train": {"learning_rate": 0.00123}},
        "out": folder / "report",
    }


def make(inputs: dict[str, Any], **params: Any) -> str:
    """The page."""
    return report.run(ReportParams(**params), **inputs).read_text(encoding="utf-8")


def commit_an_earlier_run(inputs: dict[str, Any]) -> None:
    """Commit figures of other predictions, 9.87 times as many errors as characters, and other parameters."""
    path = inputs["metrics_folder"] / "score.json"
    now = path.read_text(encoding="utf-8")
    before = json.loads(now) | {"predictions": "0", "cer": {"value": 9.87, "low": 9.8, "high": 9.9}}
    path.write_text(json.dumps(before), encoding="utf-8")
    inputs["params_path"].write_text("train: {learning_rate: 0.5}\n", encoding="utf-8")
    git = ["git", "-C", str(path.parent.parent), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    for command in (["init", "--quiet"], ["add", "metrics", "params.yaml"], ["commit", "--quiet", "-m", HOSTILE]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    path.write_text(now, encoding="utf-8")

"""The kinds of artifacts, the commands that make them, and the names of their files."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Artifact:
    """One kind of artifact folder."""

    kind: str  # in its manifest and in manifests of what is made from it; also the folder under ``data/``
    producer: str  # the command that makes it; error messages tell the user to run it


SOURCE = Artifact("source", "latexify source")
INKS = Artifact("inks", "latexify ingest")
TOKENIZER = Artifact("tokenizer", "latexify vocab")
SHARDS = Artifact("shards", "latexify rasterize")
MODEL = Artifact("model", "latexify train")
PREDICTIONS = Artifact("predictions", "latexify predict")
EVALUATION = Artifact("evaluation", "latexify evaluate")

ARTIFACTS = {artifact.kind: artifact for artifact in (SOURCE, INKS, TOKENIZER, SHARDS, MODEL, PREDICTIONS, EVALUATION)}

CALIBRATE = "latexify calibrate"  # the command that adds `CALIBRATION_NAME` to a model folder
EXPORT_ONNX = "latexify export-onnx"  # the command that makes a model folder with `ENCODER_NAME` and `DECODER_NAME`
# every artifact
MANIFEST_NAME = "manifest.json"
# source
COMPOSED_NAME = "composed.tar"
COUNTS_NAME = "composed.json"
LABELS_NAME = "labels.parquet"  # of pictures
# inks and shards
REJECTS_NAME = "rejects.parquet"
# shards
INDEX_NAME = "index.parquet"
# content of the inks, parameter of the shards, and geometry of the model: whether pictures are fitted instead of traced
PICTURES_KEY = "pictures"
FITTED = "fitted"
# content of the inks and shards: the names of the datasets, if there are several
DATASETS_KEY = "datasets"
COMPOSED_DATASET = "composed"  # what composed inks are called among several datasets
# tokenizer and model
TOKENIZER_NAME = "tokenizer.json"
GRAMMAR_NAME = "grammar.json"  # what the labels need beyond the strict grammar
# model
CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
GEOMETRY_NAME = "latexify.json"
CALIBRATION_NAME = "calibration.json"
HISTORY_NAME = "history.csv"
HISTORY_LINES_NAME = "history.jsonl"
CARD_NAME = "README.md"
ENCODER_NAME = "encoder.onnx"
DECODER_NAME = "decoder.onnx"
# predictions, and what the score and report stages make of them
PREDICTIONS_NAME = "predictions.parquet"
SAMPLES_NAME = "samples.parquet"
SCORE_NAME = "score.json"
REPORT_NAME = "report.html"

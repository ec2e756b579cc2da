"""Evaluate models on a test set: predictions, figures, tables and a report for each, and their differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from latexify.artifacts.draft import draft_of
from latexify.artifacts.files import write_atomically, write_json, write_parquet
from latexify.artifacts.manifest import Manifest, write_manifest
from latexify.artifacts.names import (
    EVALUATION,
    GEOMETRY_NAME,
    MODEL,
    PREDICTIONS,
    PREDICTIONS_NAME,
    REJECTS_NAME,
    REPORT_NAME,
    SAMPLES_NAME,
    SCORE_NAME,
)
from latexify.common.errors import LatexifyError, one_line
from latexify.common.package_data import is_model, is_plain_trocr
from latexify.eval.compare.files import MAX_FILES, compare_systems
from latexify.eval.config import PredictParams, ReportParams, ScoreParams
from latexify.eval.predict.decoding import open_predictor
from latexify.eval.predict.samples import EvaluationSamples
from latexify.eval.predict.stage import line_of, predict, predictions_manifest
from latexify.eval.report.inputs import ReportInputs, read_history, read_rows, read_tables
from latexify.eval.report.previous_run import NoPreviousRun
from latexify.eval.report.stage import build_page
from latexify.eval.score.stage import Scored, score_predictions
from latexify.pipeline.inks.table import rejects_table
from latexify.pipeline.latex import NORMALIZER_VERSION
from latexify.serve.evaluate.pictures import Treatments
from latexify.serve.evaluate.sets import EvaluationSet
from latexify.trainer.inference.open import manifest_of
from latexify.trainer.model.canvas import read_geometry

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """How the models are evaluated."""

    predict: PredictParams
    score: ScoreParams
    report: ReportParams
    seed: int
    device: str | None  # torch's name of a device; None chooses the best one
    jobs: int  # processes that typeset formulas


def run(settings: EvaluationSettings, *, models: Sequence[Path], test_set: EvaluationSet, out: Path) -> dict[str, Any]:
    """Evaluate models, and write all results into the folder `out`, which appears when they are complete.

    For one model, `out` gets predictions.parquet, samples.parquet, score.json, the tables of
    `latexify.eval.score.tables` and report.html. Of several, each gets a folder of its own with these, and score.json
    compares all with the first. Rejected inputs are in rejects.parquet.

    Returns:
        The content of `out`/score.json: the result of ``latexify score``, or of ``latexify score FILES`` for several.

    Raises:
        LatexifyError: If a model is incomplete or named twice, or the test set cannot be drawn for it.
    """
    folders = _folders(models)
    manifest = _manifest(settings, models=models, test_set=test_set)
    with draft_of(out, build_key=manifest.fingerprint) as draft:
        assert isinstance(draft, Path), "results are local"
        scored = [
            _evaluate(settings, model=model, name=name, test_set=test_set, out=draft / folder)
            for model, (name, folder) in zip(models, folders.items(), strict=True)
        ]
        result = scored[0].result
        if len(scored) > 1:
            resampling = {"num_resamples": settings.score.bootstrap_samples, "seed": settings.seed}
            result = compare_systems([each.system for each in scored], resampling)
            write_json(draft / SCORE_NAME, result)
        write_parquet(draft / REJECTS_NAME, rejects_table(test_set.account.rejections))
        write_manifest(draft, manifest)
    return result


def check_models(models: Sequence[Path]) -> None:
    """Raise LatexifyError, before anything is read, if a model is missing or named twice, or there are too many."""
    _folders(models)
    for model in models:
        if not (is_model(model) or is_plain_trocr(model)):
            raise LatexifyError(f"{model} holds no model: correct --model, or run `{MODEL.producer}`")


def treatments_of(models: Sequence[Path]) -> Treatments:
    """Return what models need of pictures. Raises LatexifyError if the geometry of one cannot be read."""
    needed = set()
    for model in models:
        if is_plain_trocr(model):
            needed.add("whole")
            continue
        try:
            needed.add(read_geometry(model).pictures)
        except (OSError, ValueError) as error:
            raise LatexifyError(f"{model / GEOMETRY_NAME} cannot be read ({one_line(error)})") from None
    return Treatments(traced="traced" in needed, fitted="fitted" in needed, whole="whole" in needed)


def _folders(models: Sequence[Path]) -> dict[str, str]:
    """Return the name of each model, and the folder for its results: none for a single one.

    Raises LatexifyError if there are too many, or one is named twice.
    """
    if len(models) > MAX_FILES:
        raise LatexifyError(f"{len(models)} models are too many to compare: at most {MAX_FILES}")
    if len({model.resolve() for model in models}) < len(models):
        raise LatexifyError("the same model is named twice: name different ones to compare")
    if len(models) == 1:
        return {str(models[0]): ""}
    folders = [model.resolve().name for model in models]
    if len(set(folders)) < len(folders):
        folders = [f"{number}-{folder}" for number, folder in enumerate(folders, start=1)]
    return dict(zip(map(str, models), folders, strict=True))


def _manifest(settings: EvaluationSettings, *, models: Sequence[Path], test_set: EvaluationSet) -> Manifest:
    params = {
        "predict": {name: value for name, value in settings.predict.identity().items() if name != "model"},
        "score": settings.score.model_dump(mode="json"),
        "report": settings.report.model_dump(mode="json"),
        "seed": settings.seed,
        "normalizer_version": NORMALIZER_VERSION,
    }
    fingerprints = {
        f"{MODEL.kind}-{number}": manifest_of(model).fingerprint for number, model in enumerate(models, start=1)
    }
    inputs = {**test_set.inputs, **fingerprints}
    content = {"models": list(map(str, models)), **test_set.account.metrics(settings.predict.split)}
    return Manifest(kind=EVALUATION.kind, version=VERSION, params=params, inputs=inputs, content=content)


def _evaluate(settings: EvaluationSettings, *, model: Path, name: str, test_set: EvaluationSet, out: Path) -> Scored:
    """Evaluate one model, and write its results into `out`."""
    predictor = open_predictor(settings.predict, model=model, device=settings.device)
    with test_set.samples(predictor.trained.geometry, resize=predictor.trained.resize) as samples:
        predictions = predict(predictor, samples, line=line_of(predictor, model=model))
        manifest = predictions_manifest(predictor, predictions, inputs=test_set.inputs)
        out.mkdir(parents=True, exist_ok=True)
        pq.write_table(predictions.table, out / PREDICTIONS_NAME, compression="zstd")
        scored = score_predictions(
            settings.score,
            seed=settings.seed,
            predictions=out,
            manifest=manifest,
            origins_of=test_set.origins,
            name=name,
            jobs=settings.jobs,
        )
        scored.write(metrics=out / SCORE_NAME, plots=out)
        manifests = {PREDICTIONS.kind: manifest, MODEL.kind: predictor.trained.manifest}
        _write_report(settings, scored, samples=samples, manifests=manifests, model=model, test_set=test_set, out=out)
    return scored


def _write_report(  # noqa: PLR0913  # all but two are named
    settings: EvaluationSettings,
    scored: Scored,
    *,
    samples: EvaluationSamples,
    manifests: Mapping[str, Manifest],
    model: Path,
    test_set: EvaluationSet,
    out: Path,
) -> None:
    inputs = ReportInputs(
        manifests=manifests,
        rows=read_rows(out / PREDICTIONS_NAME, out / SAMPLES_NAME),
        score=scored.result,
        stages={"evaluate": test_set.account.metrics(settings.predict.split)},
        tables=read_tables(out, score=scored.result),
        history=read_history(model, needed=False),
        how_to_list=[f"latexify inspect {REJECTS_NAME}"],
    )
    row_of = {key: row for row, key in enumerate(inputs.rows["key"].to_pylist())}
    page = build_page(
        inputs,
        settings.report,
        seed=settings.seed,
        pixels_of=lambda key: samples.read([row_of[key]])[0].pixels,
        previous=NoPreviousRun(reason="an evaluation stands alone; `latexify evaluate` compares several models"),
        parameters={
            "model": str(model),
            "predict": settings.predict.model_dump(exclude={"model"}),
            "seed": settings.seed,
        },
        jobs=settings.jobs,
    )
    write_atomically(out / REPORT_NAME, page)

"""Test inks, their shards and a model that reads them: what an evaluation needs, made by this project's stages."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.bench.inks import CROHME_ARCHIVES, RawInk, write_files
from latexify.artifacts.files import write_json
from latexify.artifacts.manifest import read_manifest, write_manifest
from latexify.artifacts.names import CALIBRATION_NAME, GEOMETRY_NAME, MODEL, TOKENIZER
from latexify.common.package_data import MODELS, list_models
from latexify.pipeline.config import CrohmeParams, IngestParams, RasterizeParams, SyntheticParams, VocabParams
from latexify.pipeline.engine.engine import Engine
from latexify.pipeline.ingest import stage as ingest
from latexify.pipeline.inputs.archives import iter_members
from latexify.pipeline.inputs.inputs import is_inkml_name, key_of
from latexify.pipeline.rasterize import stage as rasterize
from latexify.pipeline.source import stage as source
from latexify.pipeline.vocab import stage as vocab
from latexify.shards.format.index import open_split
from latexify.trainer import train
from latexify.trainer.config import ModelParams, TrainParams
from latexify.trainer.model.canvas import Geometry


@dataclass(frozen=True, kw_only=True)
class Amount:
    """How much to measure. num_inks: synthetic ones, or None for CROHME's test set. num_steps: of training."""

    num_inks: int | None
    num_steps: int
    repeats: int


@dataclass(frozen=True, kw_only=True)
class Exam:
    """What both are asked.

    files: InkML of the test inks; keys, references: in the same order, their names in the shards and their normalised
    labels.
    """

    model: Path
    shards: Path
    files: list[Path]
    keys: list[str]
    references: list[str]


def prepare(folder: Path, *, raw: Path | None, amount: Amount, jobs: int) -> Exam:
    """Draw the test inks, and find or make a model that reads them, by this project's stages.

    raw: folder of real data, for CROHME's test set of 2014. Of synthetic inks there are as many to learn from as to
    read. The model is the one that comes with the project, else one of the preset `tiny`, trained a little.
    """
    shipped = list_models(MODELS)
    folder.mkdir(parents=True)
    archive = _ingest(folder, raw=raw, num_inks=amount.num_inks, jobs=jobs)
    base, model = (VocabParams(tokenizer="base"), shipped[0]) if shipped else (VocabParams(), None)
    inks, tokenizer, metrics = folder / "inks", folder / "tokenizer", folder / "metrics.json"
    vocab.run(base, base=str(model), inks=inks, out=tokenizer, metrics=metrics)
    canvas = whole_canvas(model).to_dict() if model else {}
    shards, engine = folder / "shards", Engine(jobs=jobs)
    drawing = RasterizeParams.model_validate(canvas)
    rasterize.run(drawing, inks=inks, tokenizer=tokenizer, out=shards, seed=1, metrics=metrics, engine=engine)
    if model:
        _adopt(model, folder / "model", tokenizer=tokenizer)
    else:
        _train(folder, num_steps=amount.num_steps)
    return _exam(folder, archive)


def _ingest(folder: Path, *, raw: Path | None, num_inks: int | None, jobs: int) -> Path:
    """Run the first two stages; the archive of the test inks."""
    common: dict[str, Any] = {"seed": 1, "out": folder / "source", "jobs": jobs}
    if num_inks is None:
        assert raw is not None, "without real data the number of synthetic inks is needed"
        source.run(CrohmeParams(), dataset="crohme", raw=raw, **common)
        archive = raw / CROHME_ARCHIVES[1]
    else:
        section = SyntheticParams(num_train=num_inks, num_valid=max(1, num_inks // 20), num_test=num_inks)
        source.run(section, dataset="synthetic", raw=folder, **common)
        archive = folder / "source" / "test.tar"
    ingest.run(
        IngestParams(),
        source=folder / "source",
        out=folder / "inks",
        metrics=folder / "metrics.json",
        engine=Engine(jobs=jobs),
    )
    return archive


def _adopt(model: Path, out: Path, *, tokenizer: Path) -> None:
    """Copy a model, and say of the copy that it was trained with the tokenizer that was taken from it."""
    shutil.copytree(model, out, ignore=shutil.ignore_patterns(CALIBRATION_NAME))  # it names the model by its manifest
    write_json(out / GEOMETRY_NAME, whole_canvas(model).to_dict())
    made = read_manifest(tokenizer, TOKENIZER)
    trained = read_manifest(out, MODEL)
    write_manifest(out, replace(trained, inputs={**trained.inputs, "tokenizer": made.fingerprint}))


def _train(folder: Path, *, num_steps: int) -> None:
    """Long enough that most answers come to an end where their label does."""
    params = TrainParams(freeze=[], max_steps=num_steps, validate_steps=num_steps, warmup_steps=min(100, num_steps))
    with train.open_trainer(
        params,
        ModelParams(base="scratch", preset="tiny"),
        seed=1,
        shards=folder / "shards",
        tokenizer=folder / "tokenizer",
        runs=folder / "runs",
        device="cpu",
    ) as trainer:
        train.run(trainer, out=folder / "model", metrics=folder / "metrics.json")


def _exam(folder: Path, archive: Path) -> Exam:
    """The inks of the archive that the shards hold, as files."""
    index = open_split(folder / "shards", "test")
    references = dict(zip(index.keys.to_pylist(), index.labels.to_pylist(), strict=True))
    key_of_end = {key.rpartition("/")[2]: key for key in references}
    found = {
        key_of_end[end]: RawInk(name=member.name, data=member.data)
        for member in iter_members(archive, max_bytes=IngestParams().max_file_bytes)
        if is_inkml_name(member.name)
        and member.data is not None
        and (end := key_of(member.name).rpartition("/")[2]) in key_of_end
    }
    if found.keys() != references.keys():
        raise LookupError(f"{archive} lacks {len(references.keys() - found.keys())} of the inks in the shards")
    return Exam(
        model=folder / "model",
        shards=folder / "shards",
        files=write_files(folder / "files", list(found.values())),
        keys=list(found),
        references=[references[key] for key in found],
    )


def whole_canvas(model: Path) -> Geometry:
    """The canvas of a model, for pictures as wide as it: transformers' own loop takes no others."""
    return replace(geometry_of(model), width_step_px=None, height_step_px=None)


def geometry_of(model: Path) -> Geometry:
    """The canvas of a model folder."""
    return Geometry.from_params(json.loads((model / GEOMETRY_NAME).read_text(encoding="utf-8")))

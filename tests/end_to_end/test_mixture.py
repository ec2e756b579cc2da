"""Several datasets in one training, from raw files to figures of each."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.destroy.shard_damage import Here
from latexify.artifacts.files import read_parquet
from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import INKS, MODEL, SHARDS, SOURCE
from latexify.common.errors import LatexifyError
from latexify.eval.compare.columns import Pairs
from latexify.eval.metrics.edits import count_edits
from latexify.eval.report.figures import draw_figures
from latexify.eval.report.inputs import read_tables
from latexify.eval.score.stage import Scored
from latexify.eval.score.summary import System, format_summary
from latexify.pipeline.config import ComposedParams, CrohmeParams, ImagesParams, InkmlParams, LabelShares
from latexify.pipeline.inks.table import read_inks
from latexify.pipeline.inspect.entry import Choice
from latexify.pipeline.inspect.inspect import inspect
from latexify.pipeline.source import stage as source
from latexify.serve.evaluate.pictures import Treatments
from latexify.serve.evaluate.sets import open_set
from latexify.shards.format.index import open_split
from latexify.shards.reading.mixture import Mixture
from latexify.shards.verify.verify import verify
from tests.support.mixture_data import NUM_INPUTS, SECTIONS, run_ingest, run_source, write_mixture
from tests.support.picture_data import rejects, run_rasterize
from tests.support.small_project import bytes_of, train_and_judge

WEIGHTS = {"crohme": 1.0, "inkml": 2.0, "images": 0.5}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The offline stages, run on the mixture."""
    at = tmp_path_factory.mktemp("mixture") / "data"
    write_mixture(at / "raw")
    run_source(at)
    run_ingest(at)
    run_rasterize(at)
    return at


def test_every_input_of_every_dataset_is_accounted_for(data: Path) -> None:
    """Files of the same name in two datasets, or a dataset that is read with the rules of another, would be lost."""
    counts = json.loads((data / "metrics/ingest.json").read_text())
    assert {name: own["inputs"] for name, own in counts["datasets"].items()} == NUM_INPUTS
    assert counts["inputs"] == sum(NUM_INPUTS.values())
    inks = list(read_inks(data / "inks"))
    found = Counter((ink.key.split("/")[0], ink.split) for ink in inks)
    for name, own in counts["datasets"].items():
        assert own["rows"] == {split: found[name, split] for split in ("train", "valid", "test")}
        assert own["inputs"] == sum(own["rows"].values()) + sum(own["rejected"].values())
    assert counts["datasets"]["images"]["rejected"] == {"no-label": 1, "no-picture": 1}
    assert counts["datasets"]["inkml"]["rejected"] == {"duplicate-ink": 1, "leaked-ink": 1, "no-label": 1}
    keys = {ink.key for ink in inks}
    assert {"inkml/train/40%2Epng", "images/train/40%2Epng", "crohme/00"} <= keys
    assert {row["key"].split("/")[0] for row in read_parquet(data / "inks/rejects.parquet").to_pylist()} == {
        "inkml",
        "images",
    }


def test_a_test_ink_of_one_dataset_is_no_training_ink_of_another(data: Path) -> None:
    """The figures of a mixture would be better than the model."""
    found = rejects(data)
    assert found["mine/train/30.png.inkml"] == ("leaked-ink", "same strokes as crohme/30 (test)")
    assert found["mine/train/00.png.inkml"] == ("duplicate-ink", "same strokes as crohme/00 (train)")


def test_the_index_names_the_dataset_of_each_sample(data: Path) -> None:
    """Weights and figures of each dataset need it."""
    for split in ("train", "valid", "test"):
        index = open_split(data / "shards", split)
        assert index.datasets == ("crohme", "inkml", "images")
        assert index.dataset_ids is not None
        names = [index.datasets[number] for number in index.dataset_ids.tolist()]
        assert names == [key.split("/")[0] for key in index.keys.to_pylist()]
    counts = json.loads((data / "metrics/rasterize.json").read_text())
    ingested = json.loads((data / "metrics/ingest.json").read_text())
    assert counts["datasets"] == {name: own["rows"] for name, own in ingested["datasets"].items()}


def test_shards_of_a_mixture_are_verified(data: Path, tmp_path: Path) -> None:
    """A sample that counts to another dataset is trained on with another weight."""
    assert verify(data / "shards", encode=None, engine=Here()).num_findings == 0
    shutil.copytree(data / "shards", tmp_path / "shards")
    manifest = json.loads((tmp_path / "shards/manifest.json").read_text())
    manifest["content"]["datasets"] = ["crohme", "inkml"]
    (tmp_path / "shards/manifest.json").write_text(json.dumps(manifest))
    found = [finding.problem for finding in verify(tmp_path / "shards", encode=None, engine=Here()).shown]
    assert found == ["index.parquet: its datasets (crohme, images, inkml) are not the manifest's"]
    with pytest.raises(LatexifyError, match="does not match the manifest beside it"):
        open_split(tmp_path / "shards", "train")


def test_inspect_counts_the_datasets(data: Path) -> None:
    """Whoever mixes wants to see what is in the mixture."""
    for name in ("inks", "shards"):
        lines = list(inspect([data / name], Choice(), sheet=None))
        [line] = [line for line in lines if line.lstrip().startswith("datasets")]
        assert {"crohme 16", "inkml 5", "images 12"} == set(line.split(maxsplit=1)[1].split(", "))


def test_bytes_do_not_depend_on_jobs(data: Path, tmp_path: Path) -> None:
    """A colleague with other cores must get the same shards."""
    (tmp_path / "raw").symlink_to(data / "raw")
    run_source(tmp_path)
    run_ingest(tmp_path, jobs=2, backend="loky")
    run_rasterize(tmp_path, jobs=2, backend="loky")
    for name in ("inks", "shards"):
        assert bytes_of(tmp_path / name) == bytes_of(data / name)


def test_an_interrupted_ingest_of_a_mixture_goes_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The counts of each dataset must hold for chunks that an earlier run read."""
    (tmp_path / "raw").symlink_to(data / "raw")
    run_source(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("latexify.pipeline.ingest.stage.dedup.plan_dedup", _fail)
        with pytest.raises(RuntimeError):
            run_ingest(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("latexify.pipeline.ingest.stage.read_chunk", _fail)
        run_ingest(tmp_path)
    assert bytes_of(tmp_path / "inks") == bytes_of(data / "inks")


def _fail(*_: object, **__: object) -> None:
    raise RuntimeError("killed")


def test_one_dataset_is_as_before(data: Path, tmp_path: Path) -> None:
    """Its manifests, keys and columns do not know of mixtures."""
    (tmp_path / "raw").symlink_to(data / "raw")
    source.run_datasets({"crohme": SECTIONS["crohme"]}, seed=1, raw=tmp_path / "raw", out=tmp_path / "source", jobs=1)
    manifest = read_manifest(tmp_path / "source", SOURCE)
    assert manifest.params["dataset"] == "crohme"
    assert set(manifest.content) == {"inputs", "label_annotations", "writer_annotations", "pictures"}
    assert "dataset" not in manifest.content["inputs"][0]
    run_ingest(tmp_path)
    run_rasterize(tmp_path)
    assert "datasets" not in read_manifest(tmp_path / "inks", INKS).content
    assert "datasets" not in read_manifest(tmp_path / "shards", SHARDS).content
    assert "dataset" not in read_parquet(tmp_path / "shards/index.parquet").column_names
    assert {ink.key for ink in read_inks(tmp_path / "inks")} == {
        *(f"{number:02}" for number in (*range(10), 20, 21, *range(30, 34)))
    }


def test_composed_inks_join_a_mixture(data: Path, tmp_path: Path) -> None:
    """They must not repeat a label of a held-out picture, and come once an epoch."""
    (tmp_path / "raw").symlink_to(data / "raw")
    mix = LabelShares(copied=0, exchanged=1, recombined=0, grammar=0, listed=0, boxes=0)
    run_source(tmp_path, composed=ComposedParams(num_inks=30, stroke_font=True, label_mix=mix))
    counts = run_ingest(tmp_path)
    assert counts["datasets"]["composed"]["rows"]["train"] == 30
    inks = list(read_inks(tmp_path / "inks"))
    held_out = {ink.normalized_label for ink in inks if ink.split != "train"}
    assert any(ink.key.startswith("images/") and ink.split == "test" for ink in inks)
    composed = [ink for ink in inks if ink.key.startswith("composed/")]
    assert not held_out & {ink.normalized_label for ink in composed}
    run_rasterize(tmp_path)
    mixture = Mixture.of(open_split(tmp_path / "shards", "train"), WEIGHTS)
    assert mixture is not None
    assert mixture.weights["composed"] == 1
    assert mixture.sizes["composed"] == 30


def test_a_dataset_without_training_inks_is_refused(data: Path, tmp_path: Path) -> None:
    """Its weight would have no effect, without a word."""
    (tmp_path / "raw").symlink_to(data / "raw")
    run_source(tmp_path, crohme=CrohmeParams(train=[], test=["crohme/test"]))
    with pytest.raises(LatexifyError, match=r"crohme has no ink in the training split .* leave it out of `datasets`"):
        run_ingest(tmp_path)


def test_a_small_dataset_of_faults_is_not_hidden_by_a_large_one(data: Path, tmp_path: Path) -> None:
    """An eighth of `inkml` is unusable: of all inputs together, that is within the limit."""
    (tmp_path / "raw").symlink_to(data / "raw")
    run_source(tmp_path, inkml=InkmlParams(paths=["mine"], label_annotations=["nothing"], split_by="folder"))
    with pytest.raises(LatexifyError, match=r"8 of 8 inputs of inkml are unusable \(100.0%.*mostly no-label \(8\)"):
        run_ingest(tmp_path, max_reject_fraction=0.5)


def test_a_folder_in_two_datasets_is_refused(data: Path, tmp_path: Path) -> None:
    """Its inks would be read twice, with different splits."""
    (tmp_path / "raw").symlink_to(data / "raw")
    with pytest.raises(LatexifyError, match=r"crohme/train is named twice in params\.yaml"):
        run_source(tmp_path, inkml=InkmlParams(paths=["crohme/train"]))


def test_labels_split_by_different_fractions_are_named(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A formula could be learned from one dataset and tested in another."""
    (tmp_path / "raw").symlink_to(data / "raw")
    pictures = ImagesParams(paths=["mine"], labels=["mine/labels.csv"])
    run_source(tmp_path, inkml=InkmlParams(paths=["mine"], label_annotations=["latex"]), images=pictures)
    assert "split by label" not in capsys.readouterr().err
    other = InkmlParams(paths=["mine"], label_annotations=["latex"], test_fraction=0.3)
    run_source(tmp_path, inkml=other, images=pictures)
    assert "source: inkml and images are split by label, but by different fractions" in capsys.readouterr().err


@pytest.fixture(scope="module")
def judged(data: Path) -> Path:
    """The project with a model of two steps, and its figures."""
    train_and_judge(data.parent, weights=WEIGHTS)
    return data.parent


def test_figures_are_of_each_dataset(judged: Path) -> None:
    """One figure for inks and pictures together hides that a model reads only one of them."""
    result = json.loads((judged / "metrics/score.json").read_text())
    assert {name: rates["num_samples"] for name, rates in result["datasets"].items()} == {
        "crohme": 4,
        "images": 2,
        "inkml": 2,
    }
    edits = sum(rates["num_samples"] * rates["exact_match"]["value"] for rates in result["datasets"].values())
    assert edits == pytest.approx(result["num_samples"] * result["exact_match"]["value"])
    assert "images                " in format_summary(result)
    rows = read_tables(judged / "data/plots", score=result)["error_by_dataset"]
    assert [(row["dataset"], row["num_samples"]) for row in rows] == [("crohme", "4"), ("images", "2"), ("inkml", "2")]
    assert float(rows[0]["cer"]) == result["datasets"]["crohme"]["cer"]["value"]
    writers = read_tables(judged / "data/plots", score=result)["error_by_writer"]
    assert {"crohme/w0", "inkml/w0", "unknown"} <= {row["writer"] for row in writers}
    figures = draw_figures([], read_tables(judged / "data/plots", score=result), result)
    assert "Error rate by dataset" in {figure.title for figure in figures.slices}


def test_figures_of_one_dataset_leave_no_table_of_the_mixture(judged: Path, tmp_path: Path) -> None:
    """The report would show the figures of an earlier training."""
    shutil.copytree(judged / "data/plots", tmp_path / "plots")
    samples = read_parquet(tmp_path / "plots/samples.parquet")
    assert samples["dataset"].to_pylist() == [key.split("/")[0] for key in samples["key"].to_pylist()]
    edits = count_edits(["x"], ["y"])
    system = System(name="", pairs=Pairs(references=["x"], predictions=["y"], keys=None), edits=edits, appearance=None)
    Scored(system=system, result={}, tables={}, samples=samples).write(
        metrics=tmp_path / "score.json", plots=tmp_path / "plots"
    )
    assert not (tmp_path / "plots/error_by_dataset.csv").exists()


def test_the_manifest_of_the_model_has_the_weights(judged: Path) -> None:
    """Two runs with other weights would otherwise be taken for one."""
    assert read_manifest(judged / "data/model", MODEL).params["datasets"] == WEIGHTS


@pytest.mark.parametrize("folder", ["shards", "inks"])
def test_an_evaluation_of_a_mixture_has_figures_of_each(judged: Path, folder: str) -> None:
    """`latexify evaluate data/shards` must say no less than `latexify score`."""
    path = judged / "data" / folder
    opened = open_set([path], names=[folder], labels=None, lists=[], split="test", inks=path, treatments=Treatments())
    keys = open_split(judged / "data/shards", "test").keys.to_pylist()
    origins = opened.origins(keys)
    assert origins.datasets == [key.split("/")[0] for key in keys]
    assert {"crohme/w0", "inkml/w0", None} <= set(origins.people)

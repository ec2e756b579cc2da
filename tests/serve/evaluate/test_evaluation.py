"""`latexify evaluate`: any model on any labelled inks, with the figures of the pipeline."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from latexify.cli.app import app
from latexify.common.errors import LatexifyError
from latexify.eval.config import PredictParams, ReportParams, ScoreParams
from latexify.eval.predict import stage as predict
from latexify.eval.score import stage as score
from latexify.eval.score.tables import BY_TRAINING
from latexify.serve.evaluate.evaluation import EvaluationSettings, run
from latexify.serve.evaluate.pictures import Treatments
from latexify.serve.evaluate.sets import EvaluationSet, open_set

LABELS = ["normalizedLabel", "truth", "label"]
PREDICT = PredictParams(max_new_tokens=12, batch_size=4)
SETTINGS = EvaluationSettings(
    predict=PREDICT,
    score=ScoreParams(bootstrap_samples=100),
    report=ReportParams(num_samples=3),
    seed=1,
    device="cpu",
    jobs=1,
)


def opened(*paths: Path, inks: Path | None = None) -> EvaluationSet:
    """The test set that paths name."""
    return open_set(
        paths,
        names=list(map(str, paths)),
        labels=LABELS,
        lists=[],
        split="test",
        inks=inks or Path("nowhere"),
        treatments=Treatments(),
    )


def read(path: Path) -> Any:
    """A JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def test_figures_are_those_of_the_pipeline(project: Path, fitting_model: Path, tmp_path: Path) -> None:
    """Two commands with two results for one model and one test set would make both worthless."""
    shards = project / "data" / "shards"
    predict.run(PREDICT, model=fitting_model, shards=shards, out=tmp_path / "predictions", device="cpu", is_named=True)
    expected = score.run(
        SETTINGS.score,
        seed=1,
        predictions=tmp_path / "predictions",
        shards=shards,
        metrics=tmp_path / "score.json",
        plots=tmp_path / "plots",
    )
    table = pq.read_table(tmp_path / "predictions" / "predictions.parquet")
    for name, path in (("inks", project / "data" / "source" / "test.tar"), ("shards", shards)):
        out = tmp_path / name
        found = run(SETTINGS, models=[fitting_model], test_set=opened(path), out=out)
        assert found == read(out / "score.json")
        if name == "inks":  # alone, nobody knows what the model was trained on
            assert "formulas" not in found
            found["formulas"] = expected["formulas"]
        assert {**found, "predictions": ""} == {**expected, "predictions": ""}
        predicted = pq.read_table(out / "predictions.parquet")
        assert predicted.drop_columns(["seconds"]).equals(table.drop_columns(["seconds"]))
        for plot in (tmp_path / "plots").glob("*.csv"):
            if name == "inks" and plot.stem == BY_TRAINING:
                assert not (out / plot.name).exists()
                continue
            assert (out / plot.name).read_bytes() == plot.read_bytes()
        page = (out / "report.html").read_text(encoding="utf-8")
        assert "10 inputs became 10 samples (10 test)" in " ".join(page.split())


def test_shards_of_another_canvas_are_drawn_anew(project: Path, models: dict[str, Path], tmp_path: Path) -> None:
    """A model of another canvas works where the inks are at hand; one line says what to do where they are not."""
    [model] = [models["hybrid"]]
    shards, inks = project / "data" / "shards", project / "data" / "source" / "test.tar"
    from_inks = run(SETTINGS, models=[model], test_set=opened(inks), out=tmp_path / "inks")
    from_shards = run(SETTINGS, models=[model], test_set=opened(shards), out=tmp_path / "shards")
    assert {**from_inks, "formulas": from_shards["formulas"], "predictions": ""} == {**from_shards, "predictions": ""}
    alone = tmp_path / "alone" / "shards"
    shutil.copytree(shards, alone)
    elsewhere = opened(alone, inks=project / "data" / "inks")
    ingested = run(SETTINGS, models=[model], test_set=opened(project / "data" / "inks"), out=tmp_path / "ingested")
    assert {**ingested, "predictions": ""} == {**from_shards, "predictions": ""}
    again = run(SETTINGS, models=[model], test_set=elsewhere, out=tmp_path / "again")
    assert again == from_shards
    with pytest.raises(
        LatexifyError, match=r"holds pictures of 32x128 px .* the model needs 16x64 px .* name the InkML"
    ):
        run(SETTINGS, models=[model], test_set=opened(alone), out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_models_are_compared_pair_by_pair(project: Path, models: dict[str, Path], tmp_path: Path) -> None:
    """Whether a difference is more than chance depends on the formulas that both read."""
    out, test_set = tmp_path / "out", opened(project / "data" / "source" / "test.tar")
    names = [str(models["hybrid"]), str(models["vit"])]
    found = run(SETTINGS, models=list(models.values()), test_set=test_set, out=out)
    assert list(found["systems"]) == names
    assert list(found["differences"]) == names[1:]
    assert 0 <= found["differences"][names[1]]["cer"]["p_value"] <= 1
    for kind, model in models.items():
        single = run(SETTINGS, models=[model], test_set=test_set, out=tmp_path / kind)
        assert read(out / kind / "score.json") == single
        assert found["systems"][str(model)]["cer"] == single["cer"]
        assert (out / kind / "report.html").stat().st_size > 10_000
    with pytest.raises(LatexifyError, match="named twice"):
        run(SETTINGS, models=[models["vit"]] * 2, test_set=test_set, out=tmp_path / "twice")


def test_results_replace_earlier_ones_but_nothing_else(project: Path, models: dict[str, Path], tmp_path: Path) -> None:
    """A report must not lie beside tables of another model, and a folder of the user must not be emptied."""
    test_set = opened(project / "data" / "source" / "test.tar")
    run(SETTINGS, models=list(models.values()), test_set=test_set, out=tmp_path / "out")
    run(SETTINGS, models=[models["vit"]], test_set=test_set, out=tmp_path / "out")
    assert not (tmp_path / "out" / "vit").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(LatexifyError, match="holds something else"):
        run(SETTINGS, models=[models["vit"]], test_set=test_set, out=tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_command_needs_no_parameters_and_gives_an_account(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Someone comes with a folder of inks and a model, and nothing else."""
    monkeypatch.chdir(tmp_path)
    inks = tmp_path / "inks"
    inks.mkdir()
    for number, label in enumerate(("x", "y", "", "x+y")):
        truth = f'<annotation type="truth">{label}</annotation>' if label else '<annotation type="Truth">x</annotation>'
        (inks / f"{number}.inkml").write_text(f"<ink>{truth}<trace>0 0, 9 {number}</trace></ink>", encoding="utf-8")
    (inks / "broken.inkml").touch()
    (inks / "notes.txt").touch()
    command = ["evaluate", "inks", "--model", str(models["hybrid"]), "--device", "cpu"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == "3 of 5 inks are evaluated"
    assert "left out: 1 x empty-file, such as inks/broken.inkml: no content" in lines
    assert any(line.startswith("left out: 1 x no-label, such as inks/2.inkml") and "Truth" in line for line in lines)
    assert "not looked at, because they are no inks: .txt (1)" in lines
    assert lines[-1] == "results: data/evaluation"
    assert pq.read_table("data/evaluation/rejects.parquet").num_rows == 2
    assert pq.read_table("data/evaluation/predictions.parquet")["key"].to_pylist() == ["0", "1", "3"]
    wrong = CliRunner().invoke(app, [*command, "--model", "nowhere"])
    assert str(wrong.exception).startswith("there is no folder nowhere: --model takes a model folder")
    again = CliRunner().invoke(app, [*command, "--label", "Truth", "--out", "other"])
    assert "1 of 5 inks are evaluated" in again.stdout

"""The command line: help for everything, one line for what a user can mend."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from latexify.cli.stages import _search_of_predict
from latexify.eval.config import PredictParams

STAGES = ["inputs", "source", "ingest", "vocab", "rasterize", "train", "predict", "score", "report"]


def latexify(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the installed command in `folder`."""
    script = Path(sys.executable).parent / "latexify"
    return subprocess.run([script, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_help(stage: str, tmp_path: Path) -> None:
    """Help must work anywhere, without params.yaml and without loading torch for seconds."""
    result = latexify(stage, "--help", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "Usage" in result.stdout


def test_stages_of_dvc_are_commands(repository: Path, tmp_path: Path) -> None:
    """One word per stage: what `dvc repro` runs, a person can run by hand."""
    from ruamel.yaml import YAML

    pipeline = YAML(typ="safe", pure=True).load((repository / "dvc.yaml").read_text(encoding="utf-8"))
    assert list(pipeline["stages"]) == STAGES
    assert [stage["cmd"] for stage in pipeline["stages"].values()] == [f"latexify {name}" for name in STAGES]
    listed = latexify("--help", folder=tmp_path).stdout
    assert all(name in listed for name in STAGES)


def test_misspelt_parameter_is_one_message_and_exit_code_1(tmp_path: Path) -> None:
    """Hours of training with a silently ignored parameter is what users fear most."""
    (tmp_path / "params.yaml").write_text("train: {learnin_rate: 1e-3}\n", encoding="utf-8")
    result = latexify("train", folder=tmp_path)
    assert result.returncode == 1
    assert "train.learnin_rate: unknown parameter, did you mean `learning_rate`?" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("stage", "needs"),
    [("ingest", "source"), ("vocab", "ingest"), ("rasterize", "ingest"), ("train", "vocab"), ("score", "predict")],
)
def test_missing_input_names_the_command_that_makes_it(stage: str, needs: str, tmp_path: Path) -> None:
    """Run out of order, a stage says which one comes first."""
    (tmp_path / "params.yaml").write_text("{}\n", encoding="utf-8")
    result = latexify(stage, folder=tmp_path)
    assert result.returncode == 1, result.stderr
    assert f"latexify {needs}" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device that is always full")
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    """Nobody finds "the disk is full" in forty lines of traceback."""
    (tmp_path / "params.yaml").write_text(
        "synthetic: {num_train: 6, num_valid: 3, num_test: 3, num_writers: 3}\n", encoding="utf-8"
    )
    (tmp_path / "data" / "source").mkdir(parents=True)
    command = """
import pathlib
from latexify.cli.app import main
real = pathlib.Path.open
def full(self, mode="r", *rest, **named):
    return real(pathlib.Path("/dev/full") if "w" in mode and self.suffix != ".lock" else self, mode, *rest, **named)
pathlib.Path.open = full
main()
"""
    result = subprocess.run(
        [sys.executable, "-c", command, "source", "--jobs", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 1, result.stderr
    assert "latexify: the disk is full" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "data" / "source" / "manifest.json").exists()


def test_wrong_usage_is_exit_code_2(tmp_path: Path) -> None:
    """Usage errors and bad data are told apart by scripts."""
    assert latexify("rasterize", "--jobs", "none", folder=tmp_path).returncode == 2


def test_params_prints_defaults(tmp_path: Path) -> None:
    """The effective value of a parameter that is not in the file can be looked up."""
    (tmp_path / "params.yaml").write_text("seed: 7\n", encoding="utf-8")
    result = latexify("params", folder=tmp_path)
    assert result.returncode == 0
    assert '"seed": 7' in result.stdout
    assert '"pen_width_px"' in result.stdout


def test_a_file_of_answers_is_scored_anywhere(tmp_path: Path) -> None:
    """People compare other systems' answers, in folders that have no params.yaml."""
    (tmp_path / "answers.csv").write_text("truth,answer\nx^2,x^{2}\na+b,a-b\n", encoding="utf-8")
    columns = ("--reference-column", "truth", "--prediction-column", "answer")
    result = latexify("score", "answers.csv", *columns, folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "2 samples" in result.stdout
    assert "exact match" in result.stdout
    assert "50.0%" in result.stdout
    wrong = latexify("score", "answers.csv", folder=tmp_path)
    assert wrong.returncode == 1
    assert "truth" in wrong.stderr


def test_train_says_how_predict_will_search_differently() -> None:
    """Figures of the validation and of `predict` that differ for this reason look like a fault."""
    assert _search_of_predict(PredictParams()) == ""
    assert _search_of_predict(PredictParams(num_beams=3, constrained=False)) == (
        "latexify: train validates by greedy search, constrained; "
        "predict.num_beams is 3 and predict.constrained is false"
    )


def test_spaces_between_tokens_are_reported_on_stderr(tmp_path: Path) -> None:
    """Other systems' files give half of their error rate; the line names the option that mends it."""
    (tmp_path / "answers.tsv").write_text("reference\tprediction\n\\frac { a } { b }\t\\frac { a } { c }\n", "utf-8")
    spaced = latexify("score", "answers.tsv", "--no-normalize", folder=tmp_path)
    assert "with --compact" in spaced.stderr
    assert "token error rate         7.7%" in spaced.stdout
    compact = latexify("score", "answers.tsv", "--no-normalize", "--compact", folder=tmp_path)
    assert compact.stderr == ""
    assert "token error rate        14.3%" in compact.stdout


def test_mathwritings_figure_is_one_command(tmp_path: Path) -> None:
    """Of the predictions of the pipeline: the labels as found, and what the model wrote, in MathWriting's tokens."""
    columns = {"key": ["a"], "label": [r"\begin{Bmatrix}x"], "prediction_raw": [r"\begin{Bmatrix}y"]}
    columns |= {"reference": ["x"], "prediction": ["x"]}
    (tmp_path / "data/predictions").mkdir(parents=True)
    pq.write_table(pa.table(columns), tmp_path / "data/predictions/predictions.parquet")
    result = latexify("score", "--mathwriting", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "tokens as MathWriting defines them" in result.stdout
    assert "token error rate         9.1%" in result.stdout, "one of eleven tokens"

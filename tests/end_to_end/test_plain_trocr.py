"""`latexify evaluate` with a TrOCR as transformers saves it, on pictures with a list of labels and on inks."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from latexify.cli.app import app
from latexify.common.package_data import MODELS
from latexify.serve.recognizer import Recognizer
from tests.support.handwriting import inkml
from tests.support.picture_data import picture, put, table
from tests.support.trocr_family import SIDE_PX, make_plain

SHIPPED = MODELS / "crohme-small"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TrOCR with random weights."""
    return make_plain(tmp_path_factory.mktemp("model") / "trocr")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Five pictures, of which one is damaged, and their labels."""
    files = {f"p{number}.png": picture(number) for number in range(4)} | {"bad.png": b"x"}
    put(tmp_path / "pictures", {**files, "labels.csv": table([(name, "x^2") for name in files])})
    return tmp_path / "pictures"


def evaluate(*arguments: str | Path) -> str:
    """What the command prints."""
    shared = ["--device", "cpu", "--no-visual", "--no-constrained"]
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments), *shared])
    assert result.exit_code == 0, result.output
    return result.output


def predictions(folder: Path) -> dict[str, str]:
    """The answers by key."""
    columns = pq.read_table(folder / "predictions.parquet").to_pydict()
    return dict(zip(columns["key"], columns["prediction"], strict=True))


def answers(recognizer: Recognizer, pictures: Path) -> dict[str, str]:
    """What `recognize` answers, by the keys of `evaluate`."""
    files = sorted(pictures.glob("p*.png"))
    found = recognizer.read([recognizer.picture_of(file.read_bytes()) for file in files])
    return {file.name.replace(".", "%2E"): answer.latex for file, answer in zip(files, found, strict=True)}


def test_pictures_are_evaluated_whole(model: Path, pictures: Path, tmp_path: Path) -> None:
    """Users compare the TrOCR that they fine-tuned, on their own pictures; `recognize` must agree with the figures."""
    output = evaluate(pictures, "--model", model, "--out", tmp_path / "out")
    assert "4 of 5 pictures are evaluated" in output
    assert "left out: 1 x not-a-picture" in output
    assert json.loads((tmp_path / "out/score.json").read_text(encoding="utf-8"))["num_samples"] == 4
    assert (tmp_path / "out/report.html").is_file()
    recognizer = Recognizer(model, device="cpu")
    assert recognizer.picture_of(picture(0)).shape == (SIDE_PX, SIDE_PX)
    assert predictions(tmp_path / "out") == answers(recognizer, pictures)


def test_other_pictures_are_another_test_set(model: Path, pictures: Path, tmp_path: Path) -> None:
    """Figures of two sets must not be taken for those of one, though neither has strokes to tell them apart."""
    prints = []
    for number in (0, 7):
        put(pictures, {"p0.png": picture(number)})
        evaluate(pictures, "--model", model, "--out", tmp_path / str(number))
        prints.append(json.loads((tmp_path / str(number) / "manifest.json").read_text(encoding="utf-8"))["inputs"])
    assert prints[0] != prints[1]
    assert prints[0].keys() == prints[1].keys()


def test_it_is_compared_with_a_model_of_ours(model: Path, pictures: Path, tmp_path: Path) -> None:
    """Each model gets the same pictures in its own way: whole, or traced."""
    evaluate(pictures, "--model", SHIPPED, "--model", model, "--out", tmp_path / "out")
    for folder in (SHIPPED, model):
        recognizer = Recognizer(folder, device="cpu", runtime="torch", constrained=False)
        assert predictions(tmp_path / "out" / folder.name) == answers(recognizer, pictures)


def test_inks_are_drawn_for_it(model: Path, tmp_path: Path) -> None:
    """The same model is judged on inks, too."""
    labelled = inkml().replace(b"<trace>", b'<annotation type="truth">$x^2$</annotation><trace>', 1)
    put(tmp_path / "inks", {"a.inkml": labelled})
    assert "1 of 1 inks are evaluated" in evaluate(tmp_path / "inks", "--model", model, "--out", tmp_path / "out")
    recognizer = Recognizer(model, device="cpu")
    [expected] = recognizer.read([recognizer.picture_of(inkml())])
    assert predictions(tmp_path / "out") == {"a": expected.latex}

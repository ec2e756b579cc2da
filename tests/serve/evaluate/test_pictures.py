"""`evaluate` on pictures with a list of labels: read as the dataset `images`, and treated as each model needs."""

import io
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from latexify.artifacts.files import write_json
from latexify.artifacts.names import GEOMETRY_NAME
from latexify.common.errors import LatexifyError
from latexify.eval.config import PredictParams, ReportParams, ScoreParams
from latexify.pipeline.image.trace import picture_of
from latexify.pipeline.inks.ink import Ink
from latexify.serve.evaluate.evaluation import EvaluationSettings, run, treatments_of
from latexify.serve.evaluate.inks import LabelledInks
from latexify.serve.evaluate.pictures import Treatments, hold_pictures, read_labelled_pictures
from latexify.serve.evaluate.samples import DrawnInks
from latexify.serve.evaluate.sets import InkSet, open_set
from latexify.serve.recognizer import canvas_of
from latexify.trainer.model.canvas import Geometry
from tests.support.picture_data import picture, put, table

GEOMETRY = Geometry(height_px=32, width_px=128, margin_px=2, pen_width_px=1.5, max_stroke_px=12.0)
BOTH = Treatments(traced=True, fitted=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pictures, of which one has no label and one is damaged, and a row without a picture."""
    files = {f"set/p{number}.png": picture(number) for number in range(3)} | {"set/bad.png": b"x"}
    rows = [("p0.png", "$x^0$", "ann"), ("p1.png", "x^1", ""), ("bad.png", "y", ""), ("gone.png", "z", "")]
    put(tmp_path / "pictures", {**files, "set/labels.csv": table(rows, ("file", "tex", "writer"))})
    return tmp_path / "pictures"


def read(*paths: Path, treatments: Treatments = BOTH, lists: tuple[str, ...] = ()) -> LabelledInks:
    """The pictures of paths."""
    names = list(map(str, paths))
    return read_labelled_pictures(names, lists=lists, label_column=None, split="test", treatments=treatments)


def pixels(inks: list[Ink], geometry: Geometry) -> list[np.ndarray]:
    """What a model of this geometry is given."""
    return [sample.pixels for sample in DrawnInks(inks, geometry).read(np.arange(len(inks)))]


def test_every_picture_is_scored_or_accounted_for(folder: Path) -> None:
    """A figure over the pictures that happened to be read would be too good."""
    found = read(folder)
    assert [(ink.key, ink.label, ink.normalized_label, ink.writer) for ink in found.inks] == [
        ("set/p0%2Epng", "$x^0$", "x^{0}", "ann"),
        ("set/p1%2Epng", "x^1", "x^{1}", None),
    ]
    assert found.account.rejected == {"no-picture": 1, "not-a-picture": 1, "no-label": 1}
    assert found.account.lines()[0] == "2 of 5 pictures are evaluated"


def test_each_model_is_given_pictures_as_it_was_trained(folder: Path) -> None:
    """Models of both kinds may be compared on one test set."""
    inks = list(read(folder).inks)
    for treatment in ("traced", "fitted"):
        geometry = replace(GEOMETRY, pictures=treatment)
        for ink, given in zip(inks, pixels(inks, geometry), strict=True):
            data = (folder / ink.key.replace("%2E", ".")).read_bytes()
            assert np.array_equal(given, picture_of(data, canvas_of(geometry), is_traced=treatment == "traced"))
    fitted = read(folder, treatments=Treatments(traced=False, fitted=True)).inks
    with pytest.raises(LatexifyError, match="was not traced"):
        DrawnInks(fitted, GEOMETRY)


def test_archives_give_what_folders_give(folder: Path, tmp_path: Path) -> None:
    """Test sets are sent as archives."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in folder.glob("set/*.png"):
            archive.write(path, path.relative_to(folder))
    (tmp_path / "set.zip").write_bytes(packed.getvalue())
    lists = (str(folder / "set/labels.csv"),)
    assert [ink.key for ink in read(tmp_path / "set.zip", lists=lists).inks] == [ink.key for ink in read(folder).inks]
    assert hold_pictures([str(folder), str(tmp_path / "set.zip")])
    put(folder, {"a.inkml": b"<ink/>"})
    assert not hold_pictures([str(folder)])
    assert not hold_pictures([str(folder / "set/p0.png")])


def test_pictures_without_labels_are_refused(tmp_path: Path) -> None:
    """In one line, which says how to name a list."""
    put(tmp_path / "bare", {"a.png": picture(1)})
    with pytest.raises(LatexifyError, match=r"none of the 1 pictures .*a\.png: there is no list.*--labels"):
        read(tmp_path / "bare")
    with pytest.raises(LatexifyError, match="name its folder"):
        read(tmp_path / "bare/a.png")


def test_a_folder_of_pictures_is_evaluated(folder: Path, fitting_model: Path, tmp_path: Path) -> None:
    """From the folder to the figures, with a model that takes pictures as they are."""
    geometry = Geometry.from_params({**GEOMETRY.to_dict(), "pictures": "fitted"})
    model = shutil.copytree(fitting_model, tmp_path / "model")
    write_json(model / GEOMETRY_NAME, geometry.to_dict())
    treatments = treatments_of([model])
    assert treatments == Treatments(traced=False, fitted=True)
    test_set = open_set(
        [folder],
        names=[str(folder)],
        labels=None,
        lists=[],
        split="test",
        inks=tmp_path / "none",
        treatments=treatments,
    )
    assert isinstance(test_set, InkSet)
    assert all(ink.picture is not None and not ink.strokes for ink in test_set.inks)
    settings = EvaluationSettings(
        predict=PredictParams(max_new_tokens=4, constrained=False),
        score=ScoreParams(bootstrap_samples=100, visual=False),
        report=ReportParams(),
        seed=1,
        device="cpu",
        jobs=1,
    )
    result = run(settings, models=[model], test_set=test_set, out=tmp_path / "evaluation")
    assert result["num_samples"] == 2
    assert (tmp_path / "evaluation/report.html").is_file()

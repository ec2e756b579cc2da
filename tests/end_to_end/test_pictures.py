"""From pictures with a list of labels to a trained model, which sees pictures as it was trained on them."""

import json
from pathlib import Path

import numpy as np
import pytest

from latexify.serve.recognizer import Recognizer
from latexify.shards.format.index import open_split
from latexify.shards.reading.reader import SampleReader
from tests.support.picture_data import picture, put, run_ingest, run_rasterize, run_source, table
from tests.support.small_project import train_and_judge

SPLITS = ("train", "train", "train", "valid", "test")


@pytest.fixture(scope="module", params=[True, False], ids=["traced", "fitted"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose model was trained for two steps on twenty pictures."""
    root = tmp_path_factory.mktemp("pictures")
    files = {f"p{number:02}.png": picture(number) for number in range(20)}
    rows = [(name, f"x^{number % 5}", SPLITS[number % 5]) for number, name in enumerate(files)]
    put(root / "data/raw/images", {**files, "labels.csv": table(rows, ("image", "latex", "split"))})
    run_source(root / "data", trace=request.param, split_by="column")
    run_ingest(root / "data")
    run_rasterize(root / "data")
    train_and_judge(root)
    return root


def test_a_model_is_trained_and_scored(trained: Path) -> None:
    """The stages after rasterize need not know where samples come from."""
    score = json.loads((trained / "metrics/score.json").read_text())
    assert score["num_samples"] == 4
    assert score["cer"]["value"] >= 0


def test_the_recognizer_sees_what_the_model_was_trained_on(trained: Path) -> None:
    """A model that was trained on pictures as they are must not be given traced ones, and the reverse."""
    recognizer = Recognizer(trained / "data/model", device="cpu")
    index = open_split(trained / "data/shards", "test")
    with SampleReader(index) as reader:
        for sample in reader.read(np.arange(len(index))):
            data = (trained / "data/raw/images" / sample.key.replace("%2E", ".")).read_bytes()
            assert np.array_equal(recognizer.picture_of(data), sample.pixels)

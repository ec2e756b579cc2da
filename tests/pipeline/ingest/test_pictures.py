"""Pictures become samples as the recognizer sees them, with the same bytes however the work was done."""

from pathlib import Path

import numpy as np
import pytest

from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import SHARDS
from latexify.common.errors import LatexifyError
from latexify.pipeline.drawing.draw import Canvas
from latexify.pipeline.engine.engine import Engine
from latexify.pipeline.image.strokes import trace_picture
from latexify.pipeline.image.trace import picture_of
from latexify.pipeline.ingest import chunks, pictures
from latexify.shards.format.index import open_split
from latexify.shards.reading.reader import SampleReader
from latexify.shards.verify.verify import verify
from latexify.trainer.model.canvas import Geometry
from tests.support.picture_data import CANVAS, picture, put, rejects, run_ingest, run_rasterize, run_source, table
from tests.support.small_project import bytes_of


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Seventeen pictures in several chunks, two of them equal, and a row without a picture."""
    monkeypatch.setattr(chunks, "PICTURES_PER_CHUNK", 4)
    files = {f"p{number:02}.png": picture(number) for number in range(16)}
    rows = [(name, f"x^{{{number}}}") for number, name in enumerate(files)]
    files["again.png"] = picture(3)
    rows += [("again.png", "x^{3}"), ("gone.png", "x")]
    put(tmp_path / "raw/images", {**files, "labels.csv": table(rows)})
    return tmp_path


@pytest.mark.parametrize("trace", [True, False])
def test_a_picture_is_drawn_as_the_recognizer_draws_it(dataset: Path, trace: bool) -> None:  # noqa: FBT001
    """A model that is trained on other pictures than it is given reads them worse."""
    run_source(dataset, trace=trace, valid_fraction=0, test_fraction=0)
    counts = run_ingest(dataset)
    assert counts["rows"]["train"] == 16
    what = "strokes" if trace else "picture"
    assert rejects(dataset)["images/p03.png"] == ("duplicate-ink", f"same {what} as again%2Epng (train)")
    run_rasterize(dataset)
    assert verify(dataset / "shards", encode=None, engine=Engine(backend="sequential")).shown == []
    treatment = Geometry.from_params(read_manifest(dataset / "shards", SHARDS).params).pictures
    assert treatment == ("traced" if trace else "fitted")
    index = open_split(dataset / "shards", "train")
    geometry = CANVAS.model_dump(include={"height_px", "width_px", "margin_px", "pen_width_px", "max_stroke_px"})
    with SampleReader(index) as reader:
        samples = reader.read(np.arange(len(index)))
    assert len(samples) == 16
    for sample in samples:
        name = sample.key.replace("%2E", ".")
        expected = picture_of((dataset / "raw/images" / name).read_bytes(), Canvas(**geometry), is_traced=trace)
        assert np.array_equal(sample.pixels, expected)


@pytest.mark.parametrize("trace", [True, False])
def test_bytes_do_not_depend_on_the_number_of_jobs(dataset: Path, trace: bool) -> None:  # noqa: FBT001
    """Shards that were made on a laptop and on a server must be equal."""
    run_source(dataset, trace=trace)
    run_ingest(dataset)
    run_rasterize(dataset)
    inks, shards = bytes_of(dataset / "inks"), bytes_of(dataset / "shards")
    for folder in ("inks", "shards"):
        (dataset / folder).rename(dataset / f"{folder}-alone")
    run_ingest(dataset, jobs=2, backend="loky")
    run_rasterize(dataset, jobs=2, backend="loky")
    assert bytes_of(dataset / "inks") == inks
    assert bytes_of(dataset / "shards") == shards


def test_a_killed_ingest_goes_on_where_it_stopped(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracing half a million pictures takes hours."""
    run_source(dataset)
    run_ingest(dataset)
    expected = bytes_of(dataset / "inks")
    (dataset / "inks").rename(dataset / "inks-whole")
    traced: list[object] = []
    original = trace_picture

    def trace(grey: np.ndarray) -> object:
        if len(traced) == 9:
            raise KeyboardInterrupt
        traced.append(grey)
        return original(grey)

    monkeypatch.setattr(pictures, "trace_picture", trace)
    with pytest.raises(KeyboardInterrupt):
        run_ingest(dataset)
    traced.clear()
    run_ingest(dataset)
    assert len(traced) == 9  # of 17: two chunks of four were finished
    assert bytes_of(dataset / "inks") == expected


def test_limits_are_those_of_params(dataset: Path) -> None:
    """A picture of a page of print would be traced to millions of points."""
    sizes = {path.name: path.stat().st_size for path in (dataset / "raw/images").glob("*.png")}
    limit = sorted(sizes.values())[8]
    run_source(dataset, max_file_bytes=limit)
    assert run_ingest(dataset)["rejected"]["too-large"] == sum(size > limit for size in sizes.values())
    run_source(dataset)
    with pytest.raises(LatexifyError, match=r"no ink is left of 18 inputs"):
        run_ingest(dataset, max_points=20)

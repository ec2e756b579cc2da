"""The report: it says what was measured, opens anywhere, and trusts no label."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from trainer_data import make_shards

from eval import report, score
from eval.charts import Bar, Series, bar_chart, line_chart
from eval.config import ReportParams, ScoreParams
from eval.metrics import count_edits
from eval.predict import PREDICTION_SCHEMA
from eval.samples import choose, mark_differences
from pipeline.latex import NORMALIZER_VERSION
from shards.errors import LatexifyError
from shards.index import open_split
from shards.manifest import Manifest, read_manifest, write_manifest

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
REFERENCES = ["x+y", r"\frac{x}{y}", HOSTILE, "", "x_{2}", "y", "x", "xy"]
PREDICTIONS = ["x+y", r"\frac{x}{2}", "x", "y", HOSTILE, r"\frac{", "", "xy"]
STAGES: dict[str, dict[str, Any]] = {
    "ingest": {"inputs": 4711, "rows": {"train": 4000}, "rejected": {"no-label": 17}},
    "vocab": {"size": 118},
    "rasterize": {"num_bytes": 123456, "rejected": {}},
    "train": {"valid_cer": 0.321, "steps": 40},
}
HISTORY = "step,train_loss,valid_loss,valid_cer\n20,3.5,,\n40,2.25,2.5,0.625\n"


class Page(HTMLParser):
    """Collects the tags, and everything that would load something."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.ids: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one element."""
        self.tags.append(tag)
        for name, value in attrs:
            if name in {"src", "href", "xlink:href", "action", "data", "srcset", "poster"}:
                self.links.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)
            if name == "id":
                self.ids.append(value or "")


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Any]:
    """The arguments of the stage, with hostile labels among the predictions."""
    folders = {name: tmp_path / name for name in ("shards", "model", "predictions", "metrics")}
    for name in ("model", "predictions", "metrics"):
        folders[name].mkdir()
    make_shards(folders["shards"], num_train=2, num_valid=len(REFERENCES))
    shards = read_manifest(folders["shards"], "shards", made_by="")
    model = Manifest(kind="model", version=1, params={}, inputs={})
    (folders["model"] / "history.csv").write_text(HISTORY, encoding="utf-8")
    write_manifest(folders["model"], model)
    keys = open_split(folders["shards"], "valid").keys
    columns = {"label": REFERENCES, "reference": REFERENCES, "prediction": PREDICTIONS, "prediction_raw": PREDICTIONS}
    constant = {"confidence": [0.75] * len(keys), "seconds": [0.0] * len(keys), "num_tokens": [1] * len(keys)}
    table = pa.table({"key": keys, **columns, **constant}, schema=PREDICTION_SCHEMA)
    pq.write_table(table, folders["predictions"] / "predictions.parquet")
    params = {"split": "valid", "normalizer_version": NORMALIZER_VERSION}
    made_of = {"model": model.fingerprint, "shards": shards.fingerprint}
    write_manifest(folders["predictions"], Manifest(kind="predictions", version=1, params=params, inputs=made_of))
    for name, content in STAGES.items():
        (folders["metrics"] / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    score.run(
        ScoreParams(bootstrap_samples=100),
        seed=1,
        predictions=folders["predictions"],
        shards=folders["shards"],
        metrics=folders["metrics"] / "score.json",
        plots=tmp_path / "plots",
    )
    return {
        "seed": 1,
        "predictions": folders["predictions"],
        "shards": folders["shards"],
        "model": folders["model"],
        "metrics_folder": folders["metrics"],
        "parameters": {"seed": 1, "train": {"learning_rate": 0.00123}},
        "out": tmp_path / "report",
    }


def make(inputs: dict[str, Any], **params: int) -> str:
    """The page."""
    return report.run(ReportParams(**params), **inputs).read_text(encoding="utf-8")


def test_report_shows_the_figures_it_was_given(inputs: dict[str, Any]) -> None:
    """A report that disagrees with metrics/score.json would be worse than none."""
    html = make(inputs)
    figures = json.loads((inputs["metrics_folder"] / "score.json").read_text(encoding="utf-8"))
    for name in ("cer", "token_cer", "exact_match", "within_1"):
        for bound in ("value", "low", "high"):
            assert report.percent(figures[name][bound]) in html, (name, bound)
    assert report.percent(figures["constant_answer"]["cer"]) in html
    for text in ("4\u202f711", "no-label", "17", "0.00123", "0.321", "learning_rate", "62.5 %", "confidence 75 %"):
        assert text in html, text


def test_report_needs_nothing_from_elsewhere(inputs: dict[str, Any]) -> None:
    """It must open in a train, from a mail, in ten years."""
    html = make(inputs)
    page = Page(html)
    assert [link for link in page.links if not link.startswith(("#", "data:"))] == []
    assert not re.search(r"url\(|@import", html)
    assert "script" not in page.tags
    assert len(html.encode()) < 3_000_000


def test_labels_cannot_inject_markup(inputs: dict[str, Any]) -> None:
    """Labels come from files found on the internet, predictions from a model trained on them."""
    html = make(inputs)
    page = Page(html)
    assert "<script" not in html
    assert page.handlers == []
    assert len([tag for tag in page.tags if tag == "img"]) == page.tags.count("article")
    assert "&lt;script&gt;" in html


def test_anchors_lead_somewhere(inputs: dict[str, Any]) -> None:
    """Keyboard users move by them; glyphs are found by them."""
    page = Page(make(inputs))
    assert {link.removeprefix("#") for link in page.links if link.startswith("#")} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_report_is_the_same_twice(inputs: dict[str, Any]) -> None:
    """Random samples are drawn by the seed, and nothing shows the clock."""
    assert make(inputs) == make(inputs)


def test_number_of_samples_is_the_users(inputs: dict[str, Any]) -> None:
    """`report.num_samples` pictures in each of three groups, or all there are."""
    assert Page(make(inputs, num_samples=2)).tags.count("article") == 6
    assert Page(make(inputs, num_samples=50)).tags.count("article") == 3 * len(REFERENCES)


def test_largest_usual_canvas_stays_small_enough_to_mail() -> None:
    """36 pictures of 384 by 384 grey pixels with dense ink."""
    rng = np.random.default_rng(1)
    pixels = np.where(rng.random((384, 384)) < 0.1, 0, 255).astype(np.uint8)
    assert 36 * len(report.picture(pixels)) < 1_500_000


def _edit_score(inputs: dict[str, Any]) -> None:
    path = inputs["metrics_folder"] / "score.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), "predictions": "0"}), encoding="utf-8")


def _retrain(inputs: dict[str, Any]) -> None:
    write_manifest(inputs["model"], Manifest(kind="model", version=1, params={"seed": 2}, inputs={}))


def _forget_training(inputs: dict[str, Any]) -> None:
    (inputs["metrics_folder"] / "train.json").unlink()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_edit_score, "run `latexify score` again"),
        (_retrain, "made from another model .* run `latexify predict` again"),
        (_forget_training, "run `latexify train` first"),
    ],
)
def test_parts_of_different_runs_are_refused(
    inputs: dict[str, Any], change: Callable[[dict[str, Any]], None], message: str
) -> None:
    """Figures of one model beside pictures of another would deceive."""
    change(inputs)
    with pytest.raises(LatexifyError, match=message):
        make(inputs)


def test_differences_are_marked_and_nothing_is_lost() -> None:
    """The marks tell what to correct; the text itself must stay what it was."""
    reference, prediction = mark_differences(r"\frac{x}{y}+1", r"\frac{x}{2}+12z")
    assert "".join(piece.text for piece in reference) == r"\frac{x}{y}+1"
    assert "".join(piece.text for piece in prediction) == r"\frac{x}{2}+12z"
    assert [piece.text for piece in reference if piece.mark == "missing"] == ["y"]
    assert [piece.text for piece in prediction if piece.mark == "wrong"] == ["2", "2z"]


def test_groups_hold_what_they_promise() -> None:
    """Worst means most edits for the length, best the longest formula without one."""
    references, predictions = ["ab", "abcd", "abcd", "x"], ["ab", "abcd", "abxy", "yyy"]
    edits = count_edits(references, predictions)
    groups = choose(edits, np.full(4, 0.5, np.float32), list("abcd"), num=2, seed=1)
    assert groups.worst == [3, 2]
    assert groups.best == [1, 0]
    assert len(set(groups.random)) == 2


def test_charts_stay_inside_and_escape() -> None:
    """Values beyond the scale, a single point, and names with markup all occur in real runs."""
    one = Series(name="<b>", x=[5.0], y=[0.0])
    svg = line_chart([one, Series(name="none", x=[], y=[])], title="a<b", x_name="step", percent=True)
    assert "<b>" not in svg
    bars = bar_chart([Bar(label="0", value=0.0, note="")], title="t", x_name="x", percent=True, reference=1.5)
    for text in (svg, bars):
        assert "nan" not in text
        for name, value in re.findall(r' (c?[xy]\d?)="([^"]+)"', text):
            assert -1 <= float(value) <= 700, name

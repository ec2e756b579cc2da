"""The report: it says what was measured, opens anywhere, and trusts no label."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from latexify.artifacts.manifest import Manifest, write_manifest
from latexify.artifacts.names import REPORT_NAME
from latexify.common.errors import LatexifyError
from latexify.eval.report import stage as report
from latexify.eval.report.page import percent
from tests.support.report_inputs import REFERENCES, commit_an_earlier_run, make, make_inputs


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
    return make_inputs(tmp_path)


def test_report_shows_the_figure_that_papers_give(inputs: dict[str, Any]) -> None:
    """Who compares the strict figure with a paper is a point short."""
    page = make(inputs)
    score_file = json.loads((inputs["metrics_folder"] / "score.json").read_text(encoding="utf-8"))
    figure = f"{100 * score_file['exact_match_field']['value']:.1f} %"
    assert f"By the convention of most papers, without fonts and the like: {figure}" in page
    assert "exact match (field)" in page


def test_report_shows_what_confidence_is_worth(inputs: dict[str, Any]) -> None:
    """75 % sure of answers of which a quarter is right, 90 % before: 50 and 65 points off."""
    page = make(inputs)
    assert "How often predictions are right, by confidence" in page
    score_file = json.loads((inputs["metrics_folder"] / "score.json").read_text(encoding="utf-8"))
    found = score_file["calibration"]
    assert f"{found['ece']:.1%}, {found['error_raw']:.1%} before calibration" in page
    assert found["ece"] == pytest.approx(0.75 - score_file["exact_match"]["value"])


def test_report_shows_the_figures_it_was_given(inputs: dict[str, Any]) -> None:
    """A report that disagrees with metrics/score.json would be worse than none."""
    html = make(inputs)
    figures = json.loads((inputs["metrics_folder"] / "score.json").read_text(encoding="utf-8"))
    for name in ("cer", "token_cer", "exact_match", "within_1"):
        for bound in ("value", "low", "high"):
            assert percent(figures[name][bound]) in html, (name, bound)
    assert percent(figures["constant_answer"]["cer"]) in html
    for text in ("4\u202f711", "no-label", "17", "0.00123", "0.321", "learning_rate", "62.5 %", "confidence 75 %"):
        assert text in html, text


def test_report_needs_nothing_from_elsewhere(inputs: dict[str, Any]) -> None:
    """It must open in a train, from a mail, in ten years."""
    html = make(inputs)
    page = Page(html)
    assert [link for link in page.links if not link.startswith(("#", "data:"))] == []
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|import\(", html)
    assert page.tags.count("script") == 1


def test_only_the_reports_own_script_may_run(inputs: dict[str, Any]) -> None:
    """The browser itself refuses whatever a label would smuggle in, and whatever would be loaded."""
    html = make(inputs)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy
    assert "default-src 'none'" in policy[1]
    script = html.split("<script>")[1].split("</script>")[0]
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{allowed}'" in policy[1]


def test_labels_cannot_inject_markup(inputs: dict[str, Any]) -> None:
    """Labels come from files found on the internet, predictions from a model trained on them."""
    html = make(inputs)
    page = Page(html)
    assert "<script>alert" not in html
    assert page.handlers == []
    assert page.tags.count("img") == page.tags.count("article") == len(REFERENCES)
    assert "&lt;script&gt;" in html


def test_anchors_lead_somewhere(inputs: dict[str, Any]) -> None:
    """Keyboard users move by them; glyphs are found by them; labels name their fields."""
    html = make(inputs)
    page = Page(html)
    assert {link.removeprefix("#") for link in page.links if link.startswith("#")} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    fields = re.findall(r'<(?:select|input) id="([^"]+)"', html)
    assert fields
    assert set(fields) == set(re.findall(r'<label for="([^"]+)"', html))


def test_report_compares_with_the_run_before(inputs: dict[str, Any]) -> None:
    """What was committed is what `dvc repro` replaced; its message, too, is a stranger's text."""
    assert "Nothing to compare with" in make(inputs)
    commit_an_earlier_run(inputs)
    html = make(inputs)
    assert "Nothing to compare with" not in html
    assert "<td>987.0 %</td>" in html
    assert '<td class="better">better</td>' in html
    assert re.search(r'<th scope="row">train.learning_rate</th><td>0.5</td><td>0.00123</td>', html)
    assert "<script>alert" not in html
    assert "Nothing to compare with" in make(inputs, compare_with=None)


def test_report_is_the_same_twice(inputs: dict[str, Any]) -> None:
    """Random samples are drawn by the seed, and nothing shows the clock."""
    assert make(inputs) == make(inputs)


def test_number_of_samples_is_the_users(inputs: dict[str, Any]) -> None:
    """`report.num_samples` formulas, or all there are, each once."""
    few = make(inputs, num_samples=2)
    assert Page(few).tags.count("article") == 2
    assert f"2 of the {len(REFERENCES)} formulas" in few
    assert Page(make(inputs, num_samples=50)).tags.count("article") == len(REFERENCES)


def test_gallery_ends_before_the_file_grows_too_large(inputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A report beyond 5 MB is not mailed; one that shows fewer formulas and says so is."""
    monkeypatch.setattr(report, "MAX_GALLERY_BYTES", 12_000)
    html = make(inputs)
    shown = Page(html).tags.count("article")
    assert 1 <= shown < len(REFERENCES)
    gallery = html[html.index('<div id="cards"') : html.index('<nav id="pager"')]
    assert len(gallery.encode()) < 12_500
    assert f"{shown} of the {len(REFERENCES)} formulas" in html


def test_a_file_that_is_too_large_is_refused(inputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is a promise."""
    monkeypatch.setattr(report, "MAX_BYTES", 10_000)
    with pytest.raises(LatexifyError, match=r"lower report\.num_samples"):
        make(inputs)
    assert not (inputs["out"] / REPORT_NAME).exists()


def _edit_score(inputs: dict[str, Any]) -> None:
    path = inputs["metrics_folder"] / "score.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), "predictions": "0"}), encoding="utf-8")


def _retrain(inputs: dict[str, Any]) -> None:
    write_manifest(inputs["model"], Manifest(kind="model", version=1, params={"seed": 2}, inputs={}))


def _forget_training(inputs: dict[str, Any]) -> None:
    (inputs["metrics_folder"] / "train.json").unlink()


def _drop_a_sample(inputs: dict[str, Any]) -> None:
    path = inputs["plots"] / "samples.parquet"
    pq.write_table(pq.read_table(path).slice(1), path)


def _forget_confusions(inputs: dict[str, Any]) -> None:
    (inputs["plots"] / "confusions.csv").unlink()


def _age_a_table(inputs: dict[str, Any]) -> None:
    (inputs["plots"] / "error_by_length.csv").write_text("symbols,cer\n1-5,0.5\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_edit_score, "run `latexify score` again"),
        (_retrain, "made from another model .* run `latexify predict` again"),
        (_forget_training, "run `latexify train` first"),
        (_drop_a_sample, "samples.parquet belongs to other predictions"),
        (_forget_confusions, "confusions.csv is missing: run `latexify score` again"),
        (_age_a_table, "no column 'num_samples': run `latexify score` again"),
    ],
)
def test_parts_of_different_runs_are_refused(
    inputs: dict[str, Any], change: Callable[[dict[str, Any]], None], message: str
) -> None:
    """Figures of one model beside pictures of another would deceive."""
    change(inputs)
    with pytest.raises(LatexifyError, match=message):
        make(inputs)

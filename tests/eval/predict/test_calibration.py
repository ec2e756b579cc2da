"""Confidence is the fraction of such predictions that are right on validation inks, in every command."""

import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from latexify.common.errors import LatexifyError
from latexify.eval.config import PredictParams
from latexify.eval.metrics.reliability import calibration_error, reliability
from latexify.eval.predict import calibrate
from latexify.eval.predict import stage as predict
from latexify.eval.predict.calibration import (
    BEAMS,
    DRAWINGS,
    GREEDY,
    Calibration,
    Line,
    confidence_of,
    fit_line,
    read_calibration,
    share_rest,
    write_calibration,
)
from latexify.eval.report.charts import Dot, reliability_chart
from latexify.serve.recognizer import Recognizer
from latexify.shards.format.index import open_split
from tests.support.reading_models import export_folder, make_loaded, random_pictures
from tests.support.trainer_data import make_shards


def line(*, slope: float, offset: float) -> Line:
    """A line, as if it had been fitted."""
    return Line(slope=slope, offset=offset, num_samples=10, num_right=5)


def calibration(*, slope: float, offset: float, model: str = "") -> Calibration:
    """A calibration with this line."""
    return Calibration(model=model, normalizer_version=2, searches={GREEDY: line(slope=slope, offset=offset)})


def sigmoid(odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The probability of log-odds."""
    probabilities: npt.NDArray[np.float64] = 1 / (1 + np.exp(-odds))
    return probabilities


def answers(count: int, *, slope: float, offset: float, seed: int) -> tuple[list[float], list[bool]]:
    """Return probabilities, and whether each prediction is right, as often as the line says."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(2.5, 1.5, count)
    is_right = rng.random(count) < sigmoid(offset + slope * odds)
    return sigmoid(odds).tolist(), is_right.tolist()


def test_the_fit_recovers_the_line() -> None:
    """A wrong gradient would still give some line."""
    slope, offset = fit_line(*answers(20_000, slope=1.6, offset=-3.1, seed=1))
    assert slope == pytest.approx(1.6, abs=0.08)
    assert offset == pytest.approx(-3.1, abs=0.2)


def test_confidence_is_better_on_unseen_predictions() -> None:
    """A confidence of 80 % should mean that four of five are right."""
    slope, offset = fit_line(*answers(500, slope=1.6, offset=-3.1, seed=2))
    probabilities, is_right = answers(5000, slope=1.6, offset=-3.1, seed=3)
    fitted = line(slope=slope, offset=offset)
    before = calibration_error(reliability(probabilities, is_right))
    after = calibration_error(reliability([fitted.confidence(p) for p in probabilities], is_right))
    assert before > 0.15
    assert after < 0.04


@given(
    slope=st.floats(0, 50),
    offset=st.floats(-100, 100),
    probabilities=st.lists(st.floats(0, 1), min_size=2, max_size=5).map(sorted),
)
def test_confidence_keeps_the_order_and_is_a_share(slope: float, offset: float, probabilities: list[float]) -> None:
    """Alternatives must stay best first, and no fraction is above 100 %."""
    confidences = [line(slope=slope, offset=offset).confidence(p) for p in probabilities]
    assert confidences == sorted(confidences)
    assert all(0 <= value <= 1 for value in confidences)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40),
)
def test_any_predictions_have_a_line_that_does_not_fall(pairs: list[tuple[float, bool]]) -> None:
    """All right, all wrong, all equally probable, or just one: a small validation split must not stop a training."""
    slope, offset = fit_line([p for p, _ in pairs], [right for _, right in pairs])
    assert math.isfinite(slope)
    assert math.isfinite(offset)
    assert slope >= 0


def test_all_confidences_are_equal_if_probable_predictions_are_wrong_more_often() -> None:
    """The probabilities of an untrained model say nothing; only the fraction of right predictions remains."""
    slope, offset = fit_line([0.9] * 20 + [0.1] * 20, [False] * 20 + [True] * 10 + [False] * 10)
    fitted = line(slope=slope, offset=offset)
    assert slope == 0
    assert fitted.confidence(0.9) == pytest.approx(0.25, abs=0.05)


@given(
    st.floats(0, 1),
    st.lists(st.floats(0, 1), min_size=1, max_size=8).map(lambda found: [p / max(1.0, sum(found)) for p in found]),
)
def test_readings_that_exclude_each_other_are_not_sure_together(best: float, probabilities: list[float]) -> None:
    """The readings of a page stood there with 53, 50, 50 and 47 %."""
    others = share_rest(best, probabilities)
    assert len(others) == len(probabilities) - 1
    assert all(0 <= other <= best for other in others)
    assert best + sum(others) <= 1 + 1e-9


def test_further_readings_share_what_the_first_leaves() -> None:
    """If the first is wrong, the others are right as often as the model says among what is left."""
    assert share_rest(0.8, [0.5, 0.25, 0.125]) == pytest.approx([0.2 * 0.25 / 0.5, 0.2 * 0.125 / 0.5])
    assert share_rest(0.2, [0.5, 0.4, 0.0]) == [0.2, 0.0], "no further reading is likelier than the first"
    assert share_rest(0.9, [1.0]) == []
    assert share_rest(0.5, [1.0, 0.0]) == [0.0]


def test_unfinished_predictions_have_confidence_0() -> None:
    """A long loop consists of very probable tokens."""
    sure = line(slope=1, offset=5)
    assert confidence_of(0.99, finished=False, line=sure) == 0
    assert confidence_of(0.99, finished=False, line=None) == 0
    assert confidence_of(0.5, finished=True, line=None) == 0.5
    assert confidence_of(0.5, finished=True, line=sure) == pytest.approx(1 / (1 + math.exp(-5)))


def test_bins_and_their_error() -> None:
    """Computed by hand; the interval of 8 of 10 is Wilson's, as statistics packages give it."""
    bins = reliability([0.75] * 10 + [1.0] * 5 + [0.0] * 5, [True] * 8 + [False] * 2 + [True] * 5 + [False] * 5)
    assert [(one["from"], one["to"], one["num_samples"]) for one in bins] == [(0, 0.1, 5), (0.7, 0.8, 10), (0.9, 1, 5)]
    assert (bins[1]["right_low"], bins[1]["right_high"]) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert calibration_error(bins) == pytest.approx(0.5 * 0.05)


def test_a_confidence_at_an_edge_is_in_the_bin_below() -> None:
    """Otherwise 1.0 would be in a bin of its own, or in none."""
    begins = [one["from"] for one in reliability([0.1, 0.1000001, 1.0], [True, True, True])]
    assert begins == [0.0, 0.1, 0.9]


def test_the_chart_shows_every_bin() -> None:
    """Both lines, a dot for each bin, and the tooltips."""
    dot = Dot(x=0.75, y=0.8, low=0.49, high=0.94, share=1.0, note="10 formulas")
    svg = reliability_chart({"calibrated": [dot], "raw": [dot, dot]}, title="Sure")
    assert svg.count("<circle") == 3
    assert svg.count("<polyline") == 2
    assert svg.count('class="whisker"') == 1
    assert "10 formulas" in svg
    assert ">raw<" in svg


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is damaged"),
        ('{"slope": 1}', "is damaged"),
        ('{"model": "m", "normalizer_version": 3, "searches": {"beams": {}}}', "is damaged"),
        ('{"model": "m", "normalizer_version": 3, "searches": {}}', "is damaged"),
        ('{"model": "m", "normalizer_version": 3, "searches": [1]}', "is damaged"),
        ("[]", "is damaged"),
        ("NaN", "slope or offset that is not valid"),
        ("-1", "slope or offset that is not valid"),
        ('"steep"', "is damaged"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    """Users would trust a confidence that is computed from half a file."""
    write_calibration(tmp_path, calibration(slope=1, offset=0, model="m"))
    path = tmp_path / "calibration.json"
    if not text.startswith(("{", "[")):
        raw = json.loads(path.read_text(encoding="utf-8"))
        raw["searches"][GREEDY]["slope"] = json.loads(text)
        text = json.dumps(raw)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LatexifyError, match=message):
        read_calibration(tmp_path, fingerprint="m")


def test_the_calibration_of_another_model_is_refused(tmp_path: Path) -> None:
    """A folder may be a mixture of two."""
    assert read_calibration(tmp_path, fingerprint="m") is None
    write_calibration(tmp_path, calibration(slope=1, offset=0, model="m"))
    assert read_calibration(tmp_path, fingerprint="m") == calibration(slope=1, offset=0, model="m")
    with pytest.raises(LatexifyError, match="belongs to another model"):
        read_calibration(tmp_path, fingerprint="n")


def test_a_calibration_reads_no_more_than_it_may(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After MathWriting's training it read all validation inks, which took longer than a short training."""
    torch.set_num_threads(1)
    model = export_folder(make_loaded("hybrid", tmp_path), tmp_path / "model")
    make_shards(tmp_path / "shards", num_train=2, num_valid=8)
    fitted = calibrate.run(model, shards=tmp_path / "shards", seed=1, device="cpu", max_samples=3)
    assert fitted.searches.keys() == {GREEDY, BEAMS}
    assert all(each.num_samples <= 3 for each in fitted.searches.values())
    shown = capsys.readouterr().err
    assert "calibrate (greedy): 3/3 inks" in shown
    assert "calibrate (beams): 3/3 inks" in shown


def test_a_search_has_its_own_line_or_that_of_a_simpler_one() -> None:
    """With the line of greedy search, the best of three beams was said to be right too rarely, or too often."""
    lines = {kind: line(slope=1, offset=number) for number, kind in enumerate((GREEDY, BEAMS, DRAWINGS))}
    every = Calibration(model="m", normalizer_version=3, searches=lines)
    assert every.line(num_beams=1) == lines[GREEDY]
    assert every.line(num_beams=3) == lines[BEAMS]
    assert every.line(num_beams=1, num_drawings=7) == every.line(num_beams=3, num_drawings=2) == lines[DRAWINGS]
    some = Calibration(model="m", normalizer_version=3, searches={GREEDY: lines[GREEDY], BEAMS: lines[BEAMS]})
    assert some.line(num_beams=3, num_drawings=7) == lines[BEAMS]
    assert calibration(slope=1, offset=0).line(num_beams=3) == line(slope=1, offset=0)


def test_a_file_of_before_is_greedy_searchs(tmp_path: Path) -> None:
    """Models that others have published keep their calibration."""
    fitted = line(slope=1.5, offset=-2.0)
    (tmp_path / "calibration.json").write_text(json.dumps({**asdict(fitted), "model": "m", "normalizer_version": 3}))
    read = read_calibration(tmp_path, fingerprint="m")
    assert read == Calibration(model="m", normalizer_version=3, searches={GREEDY: fitted})


def test_formulas_of_training_are_left_out_where_others_suffice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A third of CROHME's validation formulas are training's: the confidence was too high for all others."""
    torch.set_num_threads(1)
    model = export_folder(make_loaded("hybrid", tmp_path), tmp_path / "model")
    make_shards(tmp_path / "shards", num_train=4, num_valid=8, valid_is_train=True)
    train, valid = (open_split(tmp_path / "shards", split) for split in ("train", "valid"))
    unseen = sum(label not in train.labels.to_pylist() for label in valid.labels.to_pylist())
    assert 0 < unseen < len(valid)
    monkeypatch.setattr(calibrate, "MIN_UNSEEN", unseen)
    calibrate.run(model, shards=tmp_path / "shards", seed=1, device="cpu", kinds=[GREEDY])
    assert f"calibrate (greedy): {unseen}/{unseen} inks" in capsys.readouterr().err
    monkeypatch.setattr(calibrate, "MIN_UNSEEN", unseen + 1)
    calibrate.run(model, shards=tmp_path / "shards", seed=1, device="cpu", kinds=[GREEDY])
    assert f"calibrate (greedy): {len(valid)}/{len(valid)} inks" in capsys.readouterr().err


def test_recognize_and_predict_give_calibrated_confidences(tmp_path: Path) -> None:
    """From the command to the number that a user sees; a new model does not inherit a calibration."""
    torch.set_num_threads(1)
    loaded = make_loaded("hybrid", tmp_path)
    model = export_folder(loaded, tmp_path / "model")
    make_shards(tmp_path / "shards", num_train=2, num_valid=8)
    pictures = list(random_pictures(3).numpy())
    plain = Recognizer(model, device="cpu")
    fitted = calibrate.run(model, shards=tmp_path / "shards", seed=1, device="cpu")
    assert read_calibration(model, fingerprint=fitted.model) == fitted
    calibrated = Recognizer(model, device="cpu")
    assert (plain.is_calibrated, calibrated.is_calibrated) == (False, True)
    for before, after in zip(plain.read(pictures, num_beams=2), calibrated.read(pictures, num_beams=2), strict=True):
        assert after.latex == before.latex
        beams = fitted.line(num_beams=2)
        assert after.confidence == pytest.approx(beams.confidence(before.confidence) if before.confidence else 0)
    params = PredictParams(split="valid", max_new_tokens=20)
    summary = predict.run(params, model=model, shards=tmp_path / "shards", out=tmp_path / "out", device="cpu")
    assert summary["is_calibrated"]
    rows = pq.read_table(tmp_path / "out" / "predictions.parquet").to_pylist()
    assert any(row["confidence"] for row in rows)
    for row in rows:
        greedy = fitted.line(num_beams=1)
        assert row["confidence"] in (0, pytest.approx(greedy.confidence(row["probability"]), abs=1e-6))
    export_folder(loaded, model)
    assert not Recognizer(model, device="cpu").is_calibrated

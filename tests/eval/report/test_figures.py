"""The figures of the report: what the charts of tables and curves show."""

from latexify.eval.report.figures import MOST_POINTS, draw_figures, thinned


def test_long_curves_are_thinned_but_keep_their_ends() -> None:
    """A training with a hundred thousand rows must not fill the file."""
    rows = [{"step": str(step)} for step in range(100_000)]
    kept = thinned(rows)
    assert len(kept) == MOST_POINTS
    assert (kept[0], kept[-1]) == (rows[0], rows[-1])
    assert thinned(rows[:5]) == rows[:5]


def test_groups_have_plain_names() -> None:
    """A reader does not know the codes of tables; a folder that is called like one keeps its name."""
    rates = {"cer": "0.1", "cer_low": "0.05", "cer_high": "0.2", "exact_match": "0.5", "exact_match_field": "0.5"}
    names = ("in_training", "new")
    tables = {
        "error_by_training": [{"formula": name, "num_samples": "2", **rates} for name in names],
        "error_by_source": [{"source": name, "num_samples": "2", **rates} for name in names],
        "token_errors": [{"token_errors": "0", "num_samples": "4"}],
        "reliability": [
            {"confidence": "raw", "from": "0.9", "to": "1.0", "num_samples": "4"}
            | {"mean_confidence": "0.95", "right": "0.5", "right_low": "0.4", "right_high": "0.6"}
        ],
    }
    score = {"cer": {"value": 0.1}, "calibration": {"is_calibrated": False, "ece": 0.1, "error_raw": 0.1}}
    by_training, by_source = draw_figures([], tables, score).slices[:2]
    assert [row[0] for row in by_training.rows] == ["in training", "new"]
    assert "in training  (2)" in by_training.svg
    assert "in training: 2 formulas" in by_training.svg
    assert "in_training" not in by_training.svg
    assert [row[0] for row in by_source.rows] == list(names)

"""Rates of the registry with their intervals."""

import numpy as np
import pytest

from latexify.eval.metrics import rates as rates_module
from latexify.eval.metrics.edits import count_edits
from latexify.eval.metrics.rates import measure_rates, rate_differences
from latexify.eval.metrics.registry import METRICS, Metric


def test_intervals_are_repeatable_and_hold_the_value() -> None:
    """A report made twice must say the same, and another seed must not change its meaning."""
    rng = np.random.default_rng(0)
    references = ["abcdefgh"] * 400
    predictions = ["abcdefgh" if rng.random() < 0.7 else "abcdefgx" for _ in references]
    edits = count_edits(references, predictions)
    first, again, other = (measure_rates(edits.columns(), num_resamples=500, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    totals, metrics = edits.totals(), {metric.name: metric for metric in METRICS}
    for name, rate in first.items():
        assert rate["value"] == totals[metrics[name].numerator] / totals[metrics[name].denominator]
        low, value, high = rate["low"], rate["value"], rate["high"]
        assert low is not None
        assert value is not None
        assert high is not None
        assert low <= value <= high, name
    low, high = (first["exact_match"][end] for end in ("low", "high"))
    assert low is not None
    assert high is not None
    standard_error = (0.7 * 0.3 / 400) ** 0.5
    assert high - low == pytest.approx(2 * 1.96 * standard_error, rel=0.15)


def test_corpus_rate_is_edits_over_characters() -> None:
    """The mean of the samples' rates, a common mistake, would give 50 % here."""
    edits = count_edits(["a", "b" * 9], ["x", "b" * 9])
    assert measure_rates(edits.columns(), num_resamples=100, seed=1)["cer"]["value"] == 0.1


def test_interval_of_a_perfect_score_is_a_point() -> None:
    """Resamples of nothing but hits are all hits."""
    bounds = measure_rates(count_edits(["a", "b"], ["a", "b"]).columns(), num_resamples=100, seed=1)
    assert set(bounds["cer"].values()) == {0.0}
    assert set(bounds["exact_match"].values()) == {1.0}


def test_resamples_without_characters_are_left_out() -> None:
    """One formula among empty references: half of the resamples have nothing to divide by."""
    rate = measure_rates(count_edits(["ab", ""], ["ax", ""]).columns(), num_resamples=100, seed=1)["cer"]
    assert set(rate.values()) == {0.5}


def test_one_entry_in_the_registry_adds_a_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/guide/add-a-metric.md promises it: value, interval and difference follow from the entry."""
    new = Metric(name="empty", numerator="num_empty", denominator="num_samples", title="empty predictions")
    extended = (*METRICS, new)
    monkeypatch.setattr(rates_module, "METRICS", extended)
    columns = {"num_empty": np.array([True, False, False, False]), "num_samples": np.ones(4)}
    rates = measure_rates(columns, num_resamples=100, seed=1, metrics=extended)
    assert list(rates) == ["empty"], "metrics whose columns are missing are left out"
    assert rates["empty"]["value"] == 0.25
    assert rate_differences(columns, columns, num_resamples=100, seed=1)["empty"].value == 0


def test_names_and_columns_of_metrics_are_consistent() -> None:
    """Names are keys of metrics/score.json, so they must be unique; every column must be counted somewhere."""
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    columns = {*count_edits(["a"], ["a"]).columns(), "renders", "reference_renders", "similarity", "looks_same"}
    assert {name for metric in METRICS for name in (metric.numerator, metric.denominator)} <= columns

"""The measurement that README, card and results are written from."""

from pathlib import Path

import pytest

from benchmarks.figures.measure import DECODINGS, measure
from latexify.pipeline.config import SyntheticParams
from latexify.pipeline.synthesis.dataset import generate


@pytest.mark.slow
def test_every_decoding_is_measured(tmp_path: Path) -> None:
    """Pictures of any width must be measured, and every way of decoding that the documents have a row for."""
    generate(SyntheticParams(num_train=3, num_valid=3, num_test=6), seed=1, out=tmp_path, jobs=1)
    results = measure(tmp_path / "test.tar")
    assert results["test_set"]["num_inks"] == 6
    assert list(results["decodings"]) == list(DECODINGS)
    for name, figures in results["decodings"].items():
        assert figures["num_samples"] == 6
        assert figures["num_drawings"] == DECODINGS[name].num_drawings
        assert 0 <= figures["exact_match"]["value"] <= 1
    assert sum(row["num_samples"] for row in results["slices"]["symbols"]) == 6

"""Strokes are gathered into paths that are short enough to draw quickly."""

import numpy as np
import pytest

from latexify.pipeline.drawing import paths
from latexify.pipeline.drawing.paths import gather_strokes


def test_strokes_of_a_scribble_are_cut_into_short_paths_that_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gap would be white in the picture."""
    monkeypatch.setattr(paths, "MAX_PATH_POINTS", 4)
    stroke_lengths, num_strokes = np.array([2, 10, 3, 1]), np.array([1, 2, 1])
    lines = gather_strokes(stroke_lengths, num_strokes)
    cut = list(zip(lines.starts.tolist(), lines.lengths.tolist(), strict=True))
    assert cut == [(0, 2), (2, 4), (5, 4), (8, 4), (12, 3), (15, 1)]
    assert lines.paths == [[3], [5, 5, 5, 4], [2]]

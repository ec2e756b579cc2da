"""Connected components are those of a flood fill."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from latexify.pipeline.image.components import ConnectedComponents, label_components

MASKS = arrays.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def label_image(components: ConnectedComponents) -> np.ndarray:
    """The component of each pixel, -1 for none."""
    labels = np.full(components.shape, -1)
    runs = zip(components.rows, components.starts, components.ends, components.labels, strict=True)
    for row, start, end, label in runs:
        labels[row, start:end] = label
    return labels


@settings(max_examples=60, deadline=None)
@given(MASKS)
def test_components_are_those_of_a_flood_fill(mask: np.ndarray) -> None:
    """Components that are wrongly joined or split turn dust into strokes, or strokes into dust.

    They are numbered by their first pixels, so that the same picture always gives the same order.
    """
    components = label_components(mask)
    labels = label_image(components)
    assert np.array_equal(labels >= 0, mask)
    unseen, count = set(map(tuple, np.argwhere(mask).tolist())), 0
    for first in sorted(unseen):
        if first not in unseen:
            continue
        queue, size = [first], 0
        unseen.remove(first)
        while queue:
            row, column = queue.pop()
            size += 1
            assert labels[row, column] == count
            near = {(row + r, column + c) for r in (-1, 0, 1) for c in (-1, 0, 1)} & unseen
            unseen -= near
            queue += near
        assert components.areas[count] == size
        count += 1
    assert components.count == count


@settings(max_examples=60, deadline=None)
@given(MASKS)
def test_boxes_peaks_and_selection_agree_with_the_pixels(mask: np.ndarray) -> None:
    """Dust and ruled lines are recognised by them."""
    components = label_components(mask)
    labels = label_image(components)
    values = np.random.default_rng(mask.sum()).random(mask.shape, np.float32)
    for label, (box, peak) in enumerate(zip(components.boxes, components.peaks(values), strict=True)):
        rows, columns = np.nonzero(labels == label)
        assert box.tolist() == [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
        assert peak == values[labels == label].max()
    keep = np.arange(components.count) % 2 == 0
    selected = components.select(keep)
    assert np.array_equal(label_image(selected) >= 0, (labels >= 0) & (labels % 2 == 0))
    if selected.count:
        assert selected.mask().sum() == components.areas[keep].sum()


def test_the_stroke_width_is_that_of_a_long_bar() -> None:
    """On the average over directions; an axis-parallel bar is measured 4/pi as wide."""
    mask = np.zeros((20, 500), np.bool_)
    mask[6:14, 10:490] = True
    assert label_components(mask).stroke_width() == pytest.approx(8 * 4 / np.pi, rel=0.03)

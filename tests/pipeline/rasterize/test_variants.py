"""Variants: the same ink written a little otherwise, the same each time, and only for training."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import COMPOSED_NAME, SHARDS
from latexify.common.errors import LatexifyError
from latexify.pipeline.drawing.draw import Canvas, draw_points
from latexify.pipeline.inputs.inputs import key_of
from latexify.pipeline.rasterize.variants import VARIANT_MARK, Variation, variant_key, vary_ink
from latexify.shards.format.index import open_split
from latexify.shards.format.sample import check_key
from latexify.shards.reading.reader import SampleReader
from tests.support.rasterize_data import PARAMS, Rasterize, bytes_of, ink_row, write_inks

FULL = Variation(strength=1.0, stroke_dropout=0.0, seed=1)
CANVAS = Canvas(height_px=64, width_px=128, margin_px=2, pen_width_px=1.5)
LOOP = np.stack([np.linspace(0, 90, 60), 20 * np.sin(np.linspace(0, 9, 60))], axis=1).astype(np.float32)
LENGTHS = np.array([20, 1, 39])


def samples(folder: Path, split: str) -> dict[str, tuple[str, list[int], bytes, dict[str, Any]]]:
    """Label, token ids, pixels and description of each key."""
    index = open_split(folder, split)
    with SampleReader(index) as reader:
        rows = range(len(index))
        read = zip(reader.read(rows), reader.describe(rows), strict=True)
        return {s.key: (s.label, s.token_ids.tolist(), s.pixels.tobytes(), description) for s, description in read}


def params_of(**change: Any) -> Any:
    """Parameters of the stage."""
    return PARAMS.model_copy(update=change)


def test_each_training_ink_is_drawn_several_times(rasterize: Rasterize, inks: Path, tmp_path: Path) -> None:
    """A variant with another's label or ids would teach nonsense; variants in the test would flatter the score."""
    metrics = rasterize(inks, params=params_of(variants=3))
    rasterize(inks, out="plain")
    assert metrics["samples"] == {"train": 84, "valid": 4, "test": 5}
    assert metrics["rejected"] == {"long-label": 2}, "an ink is left out once"
    for split in ("valid", "test"):
        assert samples(tmp_path / "out", split) == samples(tmp_path / "plain", split)
    plain, varied = (samples(tmp_path / name, "train") for name in ("plain", "out"))
    assert varied.keys() == {variant_key(key, variant) for key in plain for variant in range(3)}
    for key, expected in plain.items():
        assert varied[key] == expected
        pictures = set()
        for variant in range(3):
            label, ids, pixels, description = varied[variant_key(key, variant)]
            assert (label, ids, description) == (*expected[:2], {**expected[3], "variant": variant})
            pictures.add(pixels)
        assert len(pictures) == 3 or description["num_strokes"] == 1, "only a dot looks the same each time"


def test_variants_of_an_ink_lie_apart(rasterize: Rasterize, tmp_path: Path) -> None:
    """Batches of one ink drawn many times would be biased."""
    inks = write_inks(tmp_path / "inks", [ink_row(number, "train", "ab") for number in range(100)])
    rasterize(inks, params=params_of(variants=5, samples_per_shard=100))
    origins = [key.partition(VARIANT_MARK)[0] for key in open_split(tmp_path / "out", "train").keys.to_pylist()]
    assert len(origins) == 500
    neighbours = sum(a == b for a, b in itertools.pairwise(origins))
    assert neighbours < 15, "four of 499 others are the same ink's: about 4 are expected"


def test_composed_inks_are_drawn_once(rasterize: Rasterize, tmp_path: Path) -> None:
    """A hundred thousand of them would drown the few inks that people wrote, whose variants are wanted."""
    rows = [ink_row(number, "train", "ab") for number in range(10)]
    for row in rows[:4]:
        row["source"] = f"{COMPOSED_NAME}/{row['key']}"
    rasterize(write_inks(tmp_path / "inks", rows), params=params_of(variants=3))
    keys = open_split(tmp_path / "out", "train").keys.to_pylist()
    assert len(keys) == 4 + 3 * 6
    assert {row["key"] for row in rows} <= set(keys)
    composed = {row["key"] for row in rows[:4]}
    assert not [key for key in keys if VARIANT_MARK in key and key.partition(VARIANT_MARK)[0] in composed]


def test_only_variants_follow_the_seed(rasterize: Rasterize, inks: Path, tmp_path: Path) -> None:
    """Training again with another seed should not draw everything anew where nothing is random."""
    for seed in (1, 2):
        rasterize(inks, seed=seed, out=f"plain{seed}")
        rasterize(inks, seed=seed, out=f"varied{seed}", params=params_of(variants=2))
    assert bytes_of(tmp_path / "plain1") == bytes_of(tmp_path / "plain2")
    first, second = (samples(tmp_path / f"varied{seed}", "train") for seed in (1, 2))
    assert {key for key in first if first[key] == second[key] and first[key][3]["num_strokes"] > 1} == {
        key for key in first if VARIANT_MARK not in key and first[key][3]["num_strokes"] > 1
    }
    prints = {read_manifest(tmp_path / f"varied{seed}", SHARDS).fingerprint for seed in (1, 2)}
    assert len(prints) == 2


def test_keys_of_variants_belong_to_no_ink(rasterize: Rasterize, tmp_path: Path) -> None:
    """The ink `a@1` of a folder would take the place of the first variant of `a`."""
    assert key_of(f"a{VARIANT_MARK}1.inkml") != variant_key("a", 1)
    check_key(variant_key("train/a", 12))
    row = {**ink_row(0, "train", "a"), "key": variant_key("train/a", 1)}
    inks = write_inks(tmp_path / "inks", [ink_row(1, "train", "a"), row])
    with pytest.raises(LatexifyError, match=r"'train/a@1'.*marks a variant"):
        rasterize(inks, params=params_of(variants=2))
    assert rasterize(inks)["samples"]["train"] == 2


def test_a_variant_is_the_same_each_time() -> None:
    """Shards must not depend on who draws them; and variants, inks and seeds must not share their randomness."""
    first = vary_ink(LOOP, LENGTHS, key="a@1", variation=FULL)
    again = vary_ink(LOOP, LENGTHS, key="a@1", variation=FULL)
    assert np.array_equal(first.points, again.points)
    assert first.pen_scale == again.pen_scale
    for key, variation in (("a@2", FULL), ("b@1", FULL), ("a@1", replace(FULL, seed=2))):
        assert not np.allclose(first.points, vary_ink(LOOP, LENGTHS, key=key, variation=variation).points)


def test_strength_scales_the_difference() -> None:
    """Half the strength is half the bend, and none is none, or the parameter would mean nothing."""
    varied = {
        strength: vary_ink(LOOP, LENGTHS, key="a@1", variation=replace(FULL, strength=strength))
        for strength in (0.0, 0.1, 0.5, 1.0)
    }
    moved = {strength: float(np.abs(ink.points - LOOP).max()) for strength, ink in varied.items()}
    assert moved[0.0] < 1e-5
    assert varied[0.0].pen_scale == 1
    assert moved[0.0] < moved[0.1] < moved[0.5] < moved[1.0] < 30
    assert 0.7 <= varied[1.0].pen_scale <= 1.3


@given(exponent=st.integers(-20, 20), variant=st.integers(1, 50))
def test_units_of_the_file_do_not_matter(exponent: int, variant: int) -> None:
    """Pens write in pixels, millimetres or thousandths of them: each would vary another way."""
    key = variant_key("a", variant)
    one, other = (vary_ink(LOOP * scale, LENGTHS, key=key, variation=FULL) for scale in (1.0, 2.0**exponent))
    first, second = (draw_points(ink.points, ink.stroke_lengths, CANVAS) for ink in (one, other))
    assert np.array_equal(one.points * 2.0**exponent, other.points)
    if exponent > -10:  # what is smaller is drawn as a tap
        assert np.array_equal(first, second)


@given(
    points=hnp.arrays(np.float32, (12, 2), elements=st.floats(-(2.0**126), 2.0**126, width=32)),
    cuts=st.sets(st.integers(1, 11)),
    dropout=st.sampled_from([0.0, 0.5, 0.99]),
)
@settings(max_examples=150)
def test_any_ink_can_be_varied(points: np.ndarray, cuts: set[int], dropout: float) -> None:
    """One strange ink among millions (dots, huge numbers, strokes far apart) must not end a run."""
    lengths = np.diff([0, *sorted(cuts), 12])
    variation = replace(FULL, stroke_dropout=dropout)
    varied = vary_ink(points, lengths, key="a@1", variation=variation)
    assert np.isfinite(varied.points).all()
    assert varied.stroke_lengths.sum() == len(varied.points) >= 1
    assert dropout or len(varied.stroke_lengths) == len(lengths)
    pixels = draw_points(varied.points, varied.stroke_lengths, replace(CANVAS, pen_width_px=1.5 * varied.pen_scale))
    assert pixels.min() < 255, "something is drawn"


def test_dots_far_apart_take_no_memory() -> None:
    """Noise finer than the points would fill the memory where dots lie a kilometre apart."""
    points = np.array([[0, 0], [0.01, 0], [3e30, 1e30], [0, 3e30]], dtype=np.float32)
    assert np.isfinite(vary_ink(points, np.array([2, 1, 1]), key="a@1", variation=FULL).points).all()


def test_neighbours_stay_neighbours() -> None:
    """Jitter from point to point is a trembling that no hand writes."""
    line = np.stack([np.linspace(0, 100, 500), np.zeros(500)], axis=1)
    for variant in range(1, 30):
        varied = vary_ink(line, np.array([500]), key=variant_key("line", variant), variation=FULL)
        steps = np.diff(varied.points, axis=0)
        assert np.abs(np.diff(steps, axis=0)).max() < 0.05 * np.abs(steps).max()


def test_dropout_leaves_out_as_many_strokes_as_it_says() -> None:
    """A user who sets a tenth expects a tenth."""
    points, lengths = np.arange(80.0).reshape(40, 2), np.full(40, 1)
    variation = replace(FULL, stroke_dropout=0.25)
    kept = [
        len(vary_ink(points, lengths, key=variant_key("a", variant), variation=variation).stroke_lengths)
        for variant in range(1, 200)
    ]
    assert np.mean(kept) == pytest.approx(30, abs=1)


def test_points_that_are_no_numbers_are_named(rasterize: Rasterize, tmp_path: Path) -> None:
    """Whichever variant comes first, the message says which ink."""
    row = {**ink_row(1, "train", "a"), "points": [float("nan"), 0.0], "stroke_lengths": [1]}
    with pytest.raises(LatexifyError, match=r"ink 'train/writer1/ink001(@1)?': .*not a finite number"):
        rasterize(write_inks(tmp_path / "inks", [row]), params=params_of(variants=2))
    with pytest.raises(LatexifyError, match="not a finite number"):
        vary_ink(np.array([[0, np.inf]]), np.array([1]), key="a@1", variation=FULL)


def test_a_pen_too_wide_for_the_canvas_is_said_at_once(rasterize: Rasterize, inks: Path, tmp_path: Path) -> None:
    """The widest variant might otherwise be met after hours."""
    wide = params_of(pen_width_px=12.0, variants=2)
    with pytest.raises(LatexifyError, match="no room"):
        rasterize(inks, params=wide)
    assert not list(tmp_path.glob(".out*"))
    rasterize(inks, params=wide.model_copy(update={"variants": 1}))

"""Bending pictures: deterministic per sample, faithful to polarity and size, and never beyond the canvas by much."""

import numpy as np
import pytest
import torch

from latexify.trainer.data.augment import (
    MAX_NOISE,
    NUM_DRAWS,
    Augmentation,
    _inverse_maps,
    _noise,
    _pixel_hashes,
    _thicken,
    change,
)
from latexify.trainer.data.counters import random_bits

CPU = torch.device("cpu")


def pictures(count: int = 6, *, height: int = 32, width: int = 96) -> torch.Tensor:
    """Paper with a slanting line and a box in the middle, another box for each picture."""
    pixels = torch.full((count, height, width), 255, dtype=torch.uint8)
    for number in range(count):
        pixels[number, 10 : 16 + number, 30 : 40 + 3 * number] = 0
        for step in range(20):
            pixels[number, 6 + step, 50 + step] = 0
    return pixels


def bend(pixels: torch.Tensor, *, strength: float = 1.0, seed: int = 1, rows: np.ndarray, visit: int) -> torch.Tensor:
    """Augment pictures that were all drawn as often before."""
    augmentation = Augmentation(strength=strength, seed=seed)
    return augmentation(pixels, augmentation.plan(pixels, rows=rows, visits=np.full(len(rows), visit)))


def rows(*numbers: int) -> np.ndarray:
    """Row numbers as the loader gives them."""
    return np.array(numbers, dtype=np.int64)


def test_strength_zero_changes_nothing() -> None:
    """The default must feed the very pictures of the shards."""
    pixels = pictures()
    assert torch.equal(bend(pixels, strength=0.0, rows=np.arange(6), visit=0), pixels)


def test_a_sample_is_bent_alike_in_any_company() -> None:
    """Otherwise another micro-batch, or a resumed run, would see other pictures."""
    pixels = pictures()
    together = bend(pixels, rows=rows(7, 3, 9, 1, 4, 2), visit=2)
    alone = bend(pixels[2:3], rows=rows(9), visit=2)
    assert torch.equal(together[2:3], alone)


@pytest.mark.parametrize(("seed", "visit", "row"), [(2, 0, 5), (1, 1, 5), (1, 0, 6)])
def test_another_seed_visit_or_row_bends_otherwise(seed: int, visit: int, row: int) -> None:
    """Bending every epoch alike would add nothing after the first."""
    pixels = pictures(1)
    first = bend(pixels, rows=rows(5), visit=0)
    other = bend(pixels, seed=seed, rows=rows(row), visit=visit)
    assert not torch.equal(first, other)


def test_paper_stays_paper_and_shape_stays() -> None:
    """A dark rim from outside the picture would be read as ink."""
    blank = torch.full((64, 32, 96), 255, dtype=torch.uint8)
    bent = bend(blank, seed=3, rows=np.arange(64), visit=0)
    assert bent.dtype == torch.uint8
    assert bent.shape == blank.shape
    assert bent.min() >= 255 - 2 * MAX_NOISE  # noise, but nothing that could be a stroke
    clean = (bent == 255).all(dim=(1, 2))
    assert 0.25 < clean.float().mean() < 0.75
    rim, inside = bent[:, 0].float().mean(), bent[:, 16].float().mean()
    assert abs(rim - inside) < 1


def test_noise_is_white_and_of_the_size_it_says() -> None:
    """A pattern in the paper, the same for all, would be learnt; one too strong drowns the ink."""
    plan = Augmentation(strength=1.0, seed=3)._plan(np.arange(8), visits=np.full(8, 1), aspect=4.0)
    noise = _noise(torch.from_numpy(plan[:, 10:]), _pixel_hashes(64 * 256, CPU)).view(8, 64, 256)
    assert noise.mean().abs() < 0.02
    assert noise.std() == pytest.approx(1, abs=0.02)
    flat = noise.flatten(1)
    assert torch.corrcoef(flat).fill_diagonal_(0).abs().max() < 0.05
    for shift in (1, 2, 256):
        assert (flat[:, :-shift] * flat[:, shift:]).mean().abs() < 0.02


def test_strokes_become_thicker_and_thinner() -> None:
    """Pens differ; a model that knows one width misreads the others."""
    ink = 255 - pictures(1).float()[:, None]
    shares = [(0.0, 0.35), (0.0, 0.0), (0.7, 0.0)]
    areas = [_thicken(ink, torch.tensor([wider]), torch.tensor([narrower])).sum().item() for wider, narrower in shares]
    assert areas[0] < 0.95 * areas[1] < areas[1] < 0.8 * areas[2]
    assert torch.equal(_thicken(ink, torch.zeros(1), torch.zeros(1)), ink)


def test_ink_in_the_middle_is_kept() -> None:
    """Ink that leaves the canvas is a label that the picture does not hold."""
    pixels = pictures(1)
    many = pixels.expand(200, -1, -1)
    bent = bend(many, seed=5, rows=np.arange(200), visit=0)
    before, after = (255 - pixels.float()).sum(), (255 - bent.float()).sum(dim=(1, 2))
    # the area shrinks by at most the square of the least scale, times the stretch; darkness by at most a half, and thin
    # lines by up to a third; a line of one pixel may grow to nearly three, and noisy paper is not ink
    assert (after / before).min() > 0.5 * 0.7**2 / 1.15**2 * 0.6
    assert (after / before).max() < 3


def test_no_draw_is_the_identity() -> None:
    """The map is centred: without shrinking, slant or turn every pixel stays where it is."""
    draws = np.zeros((1, NUM_DRAWS))
    draws[:, 0] = -1  # full size
    expected = np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    np.testing.assert_allclose(_inverse_maps(draws, 1.0, aspect=3.0), expected, atol=1e-12)


def test_slant_and_turn_keep_the_proportions_of_the_canvas() -> None:
    """Grid coordinates are stretched with the canvas: a turn must be one in pixels, on a wide canvas too."""
    pixels = torch.full((1, 64, 192), 255, dtype=torch.uint8)
    pixels[0, 31:33, 66:126] = 0  # a bar, 60 wide
    draws = np.zeros((1, NUM_DRAWS))
    draws[:, 0], draws[:, 3] = -1, 1  # turned by 5 degrees, nothing else
    ink = 255 - pixels.float().unsqueeze(1)
    maps = torch.from_numpy(_inverse_maps(draws, 1.0, aspect=3.0)).float()
    grid = torch.nn.functional.affine_grid(maps, list(ink.shape), align_corners=False)
    turned = torch.nn.functional.grid_sample(ink, grid, align_corners=False)[0, 0] > 128
    ys, xs = torch.nonzero(turned, as_tuple=True)
    slope = (ys[xs.argmax()] - ys[xs.argmin()]) / (xs.max() - xs.min())
    assert slope.item() == pytest.approx(np.tan(np.radians(5)), abs=0.03)


def test_maps_are_the_inverse_of_what_is_said() -> None:
    """They are inverted by hand, since the device would have to wait for a check of its own inversion."""
    draws = np.random.default_rng(1).uniform(-1, 1, (50, NUM_DRAWS))
    draws[:, 4:6] = 0
    found = _inverse_maps(draws, 1.0, aspect=3.0)[:, :, :2]
    scale, stretch = 1 - 0.3 * (draws[:, 0] + 1) / 2, 1 + 0.15 * draws[:, 1]
    largest = np.maximum(stretch, 1 / stretch)
    for number, (size, wide, most, shear, turn) in enumerate(
        zip(scale, stretch, largest, 0.3 * draws[:, 2], np.radians(5) * draws[:, 3], strict=True)
    ):
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        forward = rotation @ np.array([[1, shear], [0, 1]]) @ np.diag([size * wide / most, size / wide / most])
        to_pixels = np.diag([3.0, 1.0])
        np.testing.assert_allclose(found[number], np.linalg.inv(to_pixels) @ np.linalg.inv(forward) @ to_pixels)


def test_noise_is_the_hash_that_it_says() -> None:
    """Integers that overflow must wrap around, on every device: else noise differs, or is none."""
    keys = torch.tensor([[5], [-7]], dtype=torch.int32)
    counters = random_bits(np.arange(1000), 1, key=(0,))[:, 0] >> np.uint64(32)
    mixed = (counters[None] ^ keys.numpy().astype(np.uint32)).astype(np.uint32) * np.uint32(0x7FEB352D)
    mixed = (mixed ^ (mixed.view(np.int32) >> 15).view(np.uint32)) * np.uint32(0x846CA68B)
    expected = mixed.view(np.int32) * (np.sqrt(3) / 2.0**31)
    np.testing.assert_allclose(_noise(keys, _pixel_hashes(1000, CPU)).numpy(), expected, rtol=1e-6)


def test_a_batch_costs_as_many_calls_as_a_sample() -> None:
    """On a GPU each call is a launch of a kernel: a loop over samples, or a transfer back, would keep it waiting."""
    calls = []
    for count in (2, 64):
        pixels = pictures(1).expand(count, -1, -1).contiguous()
        bend(pixels, rows=np.arange(count), visit=0)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            bend(pixels, rows=np.arange(count), visit=0)
        calls.append({event.key: event.count for event in profile.key_averages()})
    assert calls[0] == calls[1]
    assert not calls[0].keys() & {"aten::item", "aten::_local_scalar_dense", "aten::linalg_inv_ex"}
    assert sum(count for name, count in calls[0].items() if name.startswith("aten::")) < 200


@pytest.mark.slow
def test_compiled_it_is_the_same_in_a_few_calls() -> None:
    """With `train.compile` all of it becomes a few kernels; rounding may make a pixel one grey lighter or darker."""
    compiled = Augmentation(strength=1.0, seed=1, function=torch.compile(change, dynamic=True))
    pixels = pictures()
    plan = compiled.plan(pixels, rows=np.arange(6), visits=np.zeros(6, dtype=np.int64))
    expected = bend(pixels, rows=np.arange(6), visit=0)
    difference = (compiled(pixels, plan).int() - expected.int()).abs()
    assert difference.max() <= 1
    assert (difference > 0).float().mean() < 0.01
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        compiled(pixels, plan)
    names = [event.key for event in profile.key_averages()]
    assert not [name for name in names if "grid_sampler" in name or "max_pool" in name]

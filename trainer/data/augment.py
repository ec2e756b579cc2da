"""Augmentation of pictures on the device, different each time that a picture is drawn.

An affine map (one call of `grid_sample` for a batch), thicker or thinner strokes, faint or dark ink, noisy paper. What
a sample needs is computed for the whole batch on the CPU and copied at once, so that a GPU never waits for it.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from latexify.trainer.data.counters import random_bits

MIN_SCALE = 0.7
"""Smallest scale of an ink at full strength. Inks are never enlarged: they fill the canvas already."""
MAX_STRETCH = 0.15
"""Largest change of width relative to height."""
MAX_SHEAR = 0.3
"""Largest slant: horizontal shift per height."""
MAX_ROTATION_RAD = math.radians(5)
MAX_GAIN = 0.5
"""Ink becomes darker and thereby wider, or fainter, by up to this fraction."""
MAX_THICKENING = 0.7
"""Weight of a stroke that is a pixel wider on every side; half of it for a narrower one."""
MAX_NOISE = 24.0
"""Largest standard deviation of the paper's grey, of 255."""
NUM_DRAWS = 9

Int64 = npt.NDArray[np.int64]


def change(pixels: torch.Tensor, plan: torch.Tensor, hashes: torch.Tensor) -> torch.Tensor:
    """Augment pictures by their plan. hashes: a random number for each pixel of a picture, int32 [height * width]."""
    values = plan.view(torch.float32)
    ink = (255 - pixels.float()).unsqueeze(1)  # paper is 0, so that padding is paper
    grid = nn.functional.affine_grid(values[:, :6].reshape(-1, 2, 3), list(ink.shape), align_corners=False)
    bent = nn.functional.grid_sample(ink, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    bent = _thicken(bent, values[:, 6], values[:, 7]).flatten(1)
    bent = bent * values[:, 8:9] + _noise(plan[:, 10:], hashes) * values[:, 9:10]
    return (255 - bent.clamp_(0, 255).round_()).to(torch.uint8).view(pixels.shape)


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Augments batches: plans on the CPU what is done to each sample, and does it on the device."""

    strength: float  # 0 (off) to 1
    seed: int  # of the run
    function: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor] = change  # or the same, compiled

    def plan(self, pixels: torch.Tensor, *, rows: Int64, visits: Int64) -> torch.Tensor | None:
        """Return what is done to each picture, int32 [batch, 11] on the CPU; None if nothing is.

        It depends on (seed, visit, row). pixels: [batch, height, width]. rows: of the split's index, [batch]. visits:
        how often each was drawn before, [batch].
        """
        if self.strength == 0:
            return None
        return torch.from_numpy(self._plan(rows, visits=visits, aspect=pixels.shape[2] / pixels.shape[1]))

    def __call__(self, pixels: torch.Tensor, plan: torch.Tensor | None) -> torch.Tensor:
        """Augment pictures, uint8 [batch, height, width], ink 0, paper 255, by their plan, on the device of both."""
        if plan is None:
            return pixels
        hashes = _pixel_hashes(pixels.shape[1] * pixels.shape[2], pixels.device)
        return self.function(pixels, plan, hashes)

    def _plan(self, rows: Int64, *, visits: Int64, aspect: float) -> npt.NDArray[np.int32]:
        """Return what is done to each sample, int32 [batch, 11].

        The columns are bits of float32: six of the affine map, the shares of wider and of narrower strokes, the factor
        of the ink, the amplitude of the noise. The last is the noise's key.
        """
        raw = random_bits(rows, NUM_DRAWS + 1, key=(self.seed, 1), visits=visits)
        draws = (raw[:, :NUM_DRAWS] >> np.uint64(40)) / 2.0**23 - 1  # uniform, -1 to 1
        thickening = self.strength * MAX_THICKENING * draws[:, 7]
        # in half of all cases the paper stays clean
        noise = self.strength * MAX_NOISE * draws[:, 8].clip(min=0)
        plan = np.empty((len(rows), 11), dtype=np.int32)
        values = plan.view(np.float32)
        values[:, :6] = _inverse_maps(draws, self.strength, aspect=aspect).reshape(-1, 6)
        values[:, 6], values[:, 7] = thickening.clip(min=0), (-thickening / 2).clip(min=0)
        values[:, 8], values[:, 9] = 1 + self.strength * MAX_GAIN * draws[:, 6], noise
        plan[:, 10] = (raw[:, NUM_DRAWS] >> np.uint64(32)).astype(np.uint32).view(np.int32)
        return plan


def _noise(keys: torch.Tensor, hashes: torch.Tensor) -> torch.Tensor:
    """Return white noise of variance 1, uniform: float32 [batch, pixels]. keys: int32 [batch, 1]. hashes: [pixels].

    We hash the index of each pixel with the key of its picture, since a generator on the device would have to be seeded
    for each sample. int32 wraps around on all devices.
    """
    mixed = hashes ^ keys
    mixed.mul_(0x7FEB352D)
    mixed.bitwise_xor_(mixed >> 15).mul_(0x846CA68B - 2**32)
    return mixed * (math.sqrt(3) / 2.0**31)


@functools.lru_cache(maxsize=64)
def _pixel_hashes(num_pixels: int, device: torch.device) -> torch.Tensor:
    """Return a random number for each index of a pixel, always the same: int32 [num_pixels]."""
    bits = random_bits(np.arange(num_pixels), 1, key=(0,))[:, 0] >> np.uint64(32)
    return torch.from_numpy(bits.astype(np.uint32).view(np.int32)).to(device)


def _thicken(ink: torch.Tensor, wider: torch.Tensor, narrower: torch.Tensor) -> torch.Tensor:
    """Mix each picture with its dilation, or with its erosion.

    ink: float32 [batch, 1, height, width], paper 0. wider, narrower: shares, float32 [batch], 0 to 1; one of them is 0.
    """
    dilated = nn.functional.max_pool2d(ink, 3, stride=1, padding=1)
    eroded = nn.functional.max_pool2d(-ink, 3, stride=1, padding=1).neg_()
    return ink.lerp(dilated, wider[:, None, None, None]).lerp(eroded, narrower[:, None, None, None])


def _inverse_maps(draws: npt.NDArray[np.float64], strength: float, *, aspect: float) -> npt.NDArray[np.float64]:
    """Return affine maps from the augmented picture back to the drawn one, as `affine_grid` takes them.

    Its coordinates run from -1 to 1 on both axes of any canvas. aspect: width / height. Returns float64 [batch, 2, 3].
    """
    scale = 1 - strength * (1 - MIN_SCALE) * (draws[:, 0] + 1) / 2
    stretch = 1 + strength * MAX_STRETCH * draws[:, 1]
    # the wider axis is scaled by `scale`, so that ink stays on the canvas
    largest = np.maximum(stretch, 1 / stretch)
    scale_x, scale_y = scale * stretch / largest, scale / stretch / largest
    shear, angle = strength * MAX_SHEAR * draws[:, 2], strength * MAX_ROTATION_RAD * draws[:, 3]
    cos, sin = np.cos(angle), np.sin(angle)
    # forward, in pixels: rotate · slant · scale; its inverse, with the axes of the grid
    a, b = cos * scale_x, (cos * shear - sin) * scale_y
    c, d = sin * scale_x, (sin * shear + cos) * scale_y
    determinant = a * d - b * c
    upper = np.stack([d, -b / aspect], axis=1)
    lower = np.stack([-c * aspect, a], axis=1)
    in_grid = np.stack([upper, lower], axis=1) / determinant[:, None, None]
    # the ink may move within the space that scaling left free
    move = np.stack([(1 - scale_x) * draws[:, 4], (1 - scale_y) * draws[:, 5]], axis=1)
    offset = -np.einsum("bij,bj->bi", in_grid, move)
    return np.concatenate([in_grid, offset[:, :, None]], axis=2)

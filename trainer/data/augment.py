"""Augmentation of pictures on the device, different each time that a picture is drawn.

An affine map (one call of `grid_sample` for a batch), thicker or thinner strokes, faint or dark ink, noisy paper.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

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


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Augments batches."""

    strength: float  # 0 (off) to 1
    seed: int  # of the run

    def __call__(self, pixels: torch.Tensor, *, rows: Int64, visits: Int64) -> torch.Tensor:
        """Augment pictures, uint8 [batch, height, width], ink 0, paper 255; what changes depends on (seed, visit, row).

        rows: of the split's index, [batch]. visits: how often each was drawn before, [batch].
        """
        if self.strength == 0:
            return pixels
        draws = torch.from_numpy(self._draws(rows, visits=visits)).to(pixels.device)
        ink = (255 - pixels.float()).unsqueeze(1)  # paper is 0, so that padding is paper
        maps = _inverse_maps(draws, self.strength, aspect=pixels.shape[2] / pixels.shape[1])
        grid = nn.functional.affine_grid(maps, list(ink.shape), align_corners=False)
        bent = nn.functional.grid_sample(ink, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        bent = _thicken(bent, self.strength * MAX_THICKENING * draws[:, 7]).squeeze(1)
        bent = bent * (1 + self.strength * MAX_GAIN * draws[:, 6])[:, None, None]
        # in half of all cases the paper stays clean
        amplitude = self.strength * MAX_NOISE * draws[:, 8].clamp(min=0)
        bent = bent + amplitude[:, None, None] * self._noise(bent, rows=rows, visits=visits)
        return 255 - bent.clamp(0, 255).round().to(torch.uint8)

    def _noise(self, like: torch.Tensor, *, rows: Int64, visits: Int64) -> torch.Tensor:
        """Return white noise of variance 1 for every pixel, from (seed, visit, row) only: float32, shaped as `like`.

        We hash the index of each pixel, since a generator on the device would have to be seeded for each sample.
        """
        pairs = zip(visits.tolist(), rows.tolist(), strict=True)
        keys = [np.random.SeedSequence((self.seed, *pair, 1)).generate_state(1)[0] for pair in pairs]
        key = torch.tensor([int(key) for key in keys], device=like.device)[:, None]
        number = torch.arange(like[0].numel(), device=like.device)[None]
        uniform = _hash32(_hash32(number) ^ key).reshape(like.shape).float() / 2.0**32
        return (uniform - 0.5) * math.sqrt(12)

    def _draws(self, rows: Int64, *, visits: Int64) -> npt.NDArray[np.float32]:
        """Return uniform numbers from -1 to 1 for each sample: float32 [batch, NUM_DRAWS]."""
        pairs = zip(visits.tolist(), rows.tolist(), strict=True)
        seeds = [np.random.SeedSequence((self.seed, *pair)) for pair in pairs]
        raw = np.stack([np.random.Philox(seed).random_raw(NUM_DRAWS) for seed in seeds])
        return (raw / 2.0**63 - 1).astype(np.float32)


def _hash32(number: torch.Tensor) -> torch.Tensor:
    """Hash each number to 32 bits: int64 in, int64 from 0 to 2³² - 1 out.

    Source: `lowbias32` of C. Wellons, "Prospecting for hash functions" (2018).
    """
    mixed = (number ^ (number >> 16)) * 0x7FEB352D & 0xFFFFFFFF
    mixed = (mixed ^ (mixed >> 15)) * 0x846CA68B & 0xFFFFFFFF
    return mixed ^ (mixed >> 16)


def _thicken(ink: torch.Tensor, amount: torch.Tensor) -> torch.Tensor:
    """Mix each picture with its dilation (amount above 0) or its erosion (below, at half the effect).

    ink: float32 [batch, 1, height, width], paper 0. amount: float32 [batch], -1 to 1.
    """
    share = amount[:, None, None, None]
    wider = nn.functional.max_pool2d(ink, 3, stride=1, padding=1)
    narrower = -nn.functional.max_pool2d(-ink, 3, stride=1, padding=1)
    return ink + share.clamp(min=0) * (wider - ink) + (share / 2).clamp(max=0) * (ink - narrower)


def _inverse_maps(draws: torch.Tensor, strength: float, *, aspect: float) -> torch.Tensor:
    """Return affine maps from the augmented picture back to the drawn one, as `affine_grid` takes them.

    Its coordinates run from -1 to 1 on both axes of any canvas. aspect: width / height. Returns float32 [batch, 2, 3].
    """
    scale = 1 - strength * (1 - MIN_SCALE) * (draws[:, 0] + 1) / 2
    stretch = 1 + strength * MAX_STRETCH * draws[:, 1]
    # the wider axis is scaled by `scale`, so that ink stays on the canvas
    largest = torch.maximum(stretch, 1 / stretch)
    scale_x, scale_y = scale * stretch / largest, scale / stretch / largest
    shear, angle = strength * MAX_SHEAR * draws[:, 2], strength * MAX_ROTATION_RAD * draws[:, 3]
    cos, sin = angle.cos(), angle.sin()
    # forward, in pixels: rotate · slant · scale
    upper = torch.stack([cos * scale_x, (cos * shear - sin) * scale_y], dim=1)
    lower = torch.stack([sin * scale_x, (sin * shear + cos) * scale_y], dim=1)
    forward = torch.stack([upper, lower], dim=1)
    backward = torch.linalg.inv(forward)
    # the ink may move within the space that scaling left free
    move = torch.stack([(1 - scale_x) * draws[:, 4], (1 - scale_y) * draws[:, 5]], dim=1)
    axes = torch.tensor([aspect, 1.0], device=draws.device)
    in_grid = backward / axes[None, :, None] * axes[None, None, :]
    offset = -torch.einsum("bij,bj->bi", in_grid, move)
    return torch.cat([in_grid, offset[:, :, None]], dim=2)

"""Augmentation on the device: every picture is bent a little, in another way in each epoch, and never drawn anew.

An affine map (one call of `grid_sample` serves a batch), thicker or thinner strokes, faint or dark ink, noisy paper.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

MIN_SCALE = 0.7
"""Of the whole ink at full strength. It is never enlarged: drawn ink fills its canvas already."""
MAX_STRETCH = 0.15
"""Width against height."""
MAX_SHEAR = 0.3
"""Slant: horizontal shift per height."""
MAX_ROTATION_RAD = math.radians(5)
MAX_GAIN = 0.5
"""Ink is made darker and thereby wider, or fainter, by up to this share."""
MAX_THICKENING = 0.7
"""How far a stroke goes towards being a pixel wider, or half as far narrower, on every side."""
MAX_NOISE = 24.0
"""Standard deviation of the paper's grey, of 255."""
NUM_DRAWS = 9


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How strongly to bend, 0 (not at all) to 1, and the seed of the run."""

    strength: float
    seed: int

    def __call__(self, pixels: torch.Tensor, *, rows: npt.NDArray[np.int64], epoch: int) -> torch.Tensor:
        """Bend a batch.

        pixels: uint8 [batch, height, width], ink 0, paper 255. rows: int64 [batch], of the split's index.
        Returns the same shape, type and polarity. What happens to a sample follows from (seed, epoch, row) alone.
        """
        if self.strength == 0:
            return pixels
        draws = torch.from_numpy(self._draws(rows, epoch=epoch)).to(pixels.device)
        ink = (255 - pixels.float()).unsqueeze(1)  # paper is 0, so that what comes in from outside is paper
        maps = _inverse_maps(draws, self.strength, aspect=pixels.shape[2] / pixels.shape[1])
        grid = nn.functional.affine_grid(maps, list(ink.shape), align_corners=False)
        bent = nn.functional.grid_sample(ink, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        bent = _thicken(bent, self.strength * MAX_THICKENING * draws[:, 7]).squeeze(1)
        bent = bent * (1 + self.strength * MAX_GAIN * draws[:, 6])[:, None, None]
        # as often as not the paper stays clean, as it is drawn
        amplitude = self.strength * MAX_NOISE * draws[:, 8].clamp(min=0)
        bent = bent + amplitude[:, None, None] * self._noise(bent, rows=rows, epoch=epoch)
        return 255 - bent.clamp(0, 255).round().to(torch.uint8)

    def _noise(self, like: torch.Tensor, *, rows: npt.NDArray[np.int64], epoch: int) -> torch.Tensor:
        """White noise of variance 1 for every pixel of a batch, from (seed, epoch, row) alone: float32, as `like`.

        A hash of the pixel's number: a generator on the device would have to be seeded anew for each sample.
        """
        keys = [np.random.SeedSequence((self.seed, epoch, int(row), 1)).generate_state(1)[0] for row in rows]
        key = torch.tensor([int(key) for key in keys], device=like.device)[:, None]
        number = torch.arange(like[0].numel(), device=like.device)[None]
        uniform = _hash32(_hash32(number) ^ key).reshape(like.shape).float() / 2.0**32
        return (uniform - 0.5) * math.sqrt(12)

    def _draws(self, rows: npt.NDArray[np.int64], *, epoch: int) -> npt.NDArray[np.float32]:
        """Uniform numbers from -1 to 1 for each sample: float32 [batch, NUM_DRAWS]."""
        raw = [
            np.random.Philox(np.random.SeedSequence((self.seed, epoch, int(row)))).random_raw(NUM_DRAWS) for row in rows
        ]
        return (np.stack(raw) / 2.0**63 - 1).astype(np.float32)


def _hash32(number: torch.Tensor) -> torch.Tensor:
    """A 32-bit hash of each number: int64 in, int64 from 0 to 2³² - 1 out.

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
    """Affine maps from the bent picture back to the drawn one, in `affine_grid`'s coordinates: float32 [batch, 2, 3].

    aspect: width ÷ height; its coordinates run from -1 to 1 on both axes, whatever the canvas.
    """
    scale = 1 - strength * (1 - MIN_SCALE) * (draws[:, 0] + 1) / 2
    stretch = 1 + strength * MAX_STRETCH * draws[:, 1]
    # never beyond the canvas: the wider axis keeps to `scale`
    largest = torch.maximum(stretch, 1 / stretch)
    scale_x, scale_y = scale * stretch / largest, scale / stretch / largest
    shear, angle = strength * MAX_SHEAR * draws[:, 2], strength * MAX_ROTATION_RAD * draws[:, 3]
    cos, sin = angle.cos(), angle.sin()
    # forward, in pixels: rotate · slant · scale
    forward = torch.stack(
        [
            torch.stack([cos * scale_x, (cos * shear - sin) * scale_y], dim=1),
            torch.stack([sin * scale_x, (sin * shear + cos) * scale_y], dim=1),
        ],
        dim=1,
    )
    backward = torch.linalg.inv(forward)
    # the ink may move as far as the room that its shrinking left
    move = torch.stack([(1 - scale_x) * draws[:, 4], (1 - scale_y) * draws[:, 5]], dim=1)
    axes = torch.tensor([aspect, 1.0], device=draws.device)
    in_grid = backward / axes[None, :, None] * axes[None, None, :]
    offset = -torch.einsum("bij,bj->bi", in_grid, move)
    return torch.cat([in_grid, offset[:, :, None]], dim=2)

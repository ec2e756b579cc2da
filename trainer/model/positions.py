"""Initial values of learned positions.

With random ones, cross-attention takes most of a short training to find out where anything is; sinusoids tell it.
"""

import math

import numpy as np
import torch
from torch import nn

SHORTEST = 3.0
"""Shortest wavelength, in positions. Below 2 it could not be told from a longer one."""


def sinusoids(count: int, size: int, *, longest: float) -> torch.Tensor:
    """Sines, then cosines, of `size` / 2 wavelengths in geometric order up to `longest`: float32 [count, size].

    The scheme of Vaswani et al. 2017, section 3.5, without the wavelengths that would be constant over `count`.
    """
    wavelengths = np.geomspace(SHORTEST, longest, size // 2)
    angles = np.arange(count)[:, None] * (2 * math.pi / wavelengths)[None]
    return torch.tensor(np.concatenate([np.sin(angles), np.cos(angles)], axis=1), dtype=torch.float32)


def grid_sinusoids(rows: int, columns: int, size: int) -> torch.Tensor:
    """Positions of a grid: float32 [rows, columns, size], the first half of the vector for x, the second for y."""
    across = sinusoids(columns, size // 2, longest=max(2.0 * columns, 2 * SHORTEST))
    down = sinusoids(rows, size // 2, longest=max(2.0 * rows, 2 * SHORTEST))
    return torch.cat([across[None].expand(rows, -1, -1), down[:, None].expand(-1, columns, -1)], dim=-1)


def stretched(grid: torch.Tensor, *, side: int) -> torch.Tensor:
    """The square grid that becomes `grid` when it is resized bilinearly: float32 [side, side, size].

    grid: float32 [rows, columns, size]. Least squares: exact where `side` is at least the larger of both, but for a
    clamp to [-2, 2] (sinusoids stay within [-1, 1]).
    """
    down, across = (torch.linalg.pinv(_resizing(side, count)) for count in grid.shape[:2])
    return torch.einsum("ih,hwd,jw->ijd", down, grid.double(), across).clamp(-2, 2).float()


def _resizing(old: int, new: int) -> torch.Tensor:
    """Linear resizing of `old` values to `new` (`torch.nn.functional.interpolate`) as a matrix: float64 [new, old]."""
    basis = torch.eye(old, dtype=torch.float64)[:, None]
    return nn.functional.interpolate(basis, size=new, mode="linear")[:, 0].T


def square_positions(rows: int, columns: int, *, width_px: int) -> tuple[int, int] | None:
    """How to give a grid a square number of learned positions: (side, pixels per column), or None.

    transformers' DPT keeps (image height / patch height) · (image width / patch width) positions, takes them for a
    square and resizes it to the grid. A patch width, which it uses for nothing else, makes it a square. We take the
    smallest one on which every row and every column has its own position; else the largest, but at least half as fine:
    with that, a short training was measured to go no worse, and beyond, the columns at the edges would look the same.
    """
    found: list[tuple[int, int]] = []
    for pixels in range(1, width_px + 1):
        side = math.isqrt(rows * (width_px // pixels))
        if 2 * side >= max(rows, columns) and side * side == rows * (width_px // pixels):
            found.append((side, pixels))
    enough = [option for option in found if option[0] >= max(rows, columns)]
    return min(enough) if enough else max(found, default=None)

"""Initial values of learned positions.

With random values, cross-attention spends most of a short training on learning positions; sinusoids provide them.
"""

import math

import numpy as np
import torch
from torch import nn

SHORTEST = 3.0
"""Shortest wavelength, in positions. Below 2, aliasing would make it equal to a longer one."""


def sinusoids(count: int, size: int, *, longest: float) -> torch.Tensor:
    """Return sines, then cosines, of `size` / 2 wavelengths in geometric order up to `longest`: float32 [count, size].

    This is the scheme of Vaswani et al. 2017, section 3.5, without wavelengths that would be constant over `count`.
    """
    wavelengths = np.geomspace(SHORTEST, longest, size // 2)
    angles = np.arange(count)[:, None] * (2 * math.pi / wavelengths)[None]
    return torch.tensor(np.concatenate([np.sin(angles), np.cos(angles)], axis=1), dtype=torch.float32)


def grid_sinusoids(rows: int, columns: int, size: int) -> torch.Tensor:
    """Return positions of a grid, float32 [rows, columns, size]: the first half of a vector for x, the second for y."""
    across = sinusoids(columns, size // 2, longest=max(2.0 * columns, 2 * SHORTEST))
    down = sinusoids(rows, size // 2, longest=max(2.0 * rows, 2 * SHORTEST))
    return torch.cat([across[None].expand(rows, -1, -1), down[:, None].expand(-1, columns, -1)], dim=-1)


def extend_grid(grid: torch.Tensor, *, rows: int, columns: int) -> torch.Tensor:
    """Give learned positions of a grid more rows and columns, or fewer, on both sides alike.

    The middle stays as it is. Further ones continue the sinusoids that the grid began with, and deviate from them as
    much as the row or column at that side does.

    Args:
        grid: Learned positions, float32 [old rows, old columns, size], which began as :func:`grid_sinusoids`.
        rows: Their new number, even if the old one is even.
        columns: The same for the columns.

    Returns:
        float32 [rows, columns, size].
    """
    half = grid.shape[2] // 2
    wider = _extend_columns(grid, columns, changing=slice(half))
    return _extend_columns(wider.transpose(0, 1), rows, changing=slice(half, None)).transpose(0, 1)


def _extend_columns(grid: torch.Tensor, columns: int, *, changing: slice) -> torch.Tensor:
    """changing: the part of a position that tells columns apart."""
    _, old, size = grid.shape
    if columns <= old:
        return middle(grid.movedim(2, 0), grid.shape[0], columns).movedim(0, 2)
    side = (columns - old) // 2
    wavelengths = torch.from_numpy(np.geomspace(SHORTEST, max(2.0 * old, 2 * SHORTEST), size // 4))
    columns_of = torch.arange(-side, old + side)
    angles = columns_of[:, None] * (2 * math.pi / wavelengths)[None]
    across = torch.cat([angles.sin(), angles.cos()], dim=1).float()  # [columns, size / 2]
    nearest_column = columns_of.clamp(0, old - 1)
    extended = grid[:, nearest_column].clone()
    nearest = across[side : side + old][nearest_column]
    extended[:, :, changing] += (across - nearest)[None]
    return extended


def stretched(grid: torch.Tensor, *, side: int) -> torch.Tensor:
    """Return the square grid that becomes `grid` when it is resized bilinearly: float32 [side, side, size].

    A least-squares solution, exact if `side` is at least the larger of rows and columns. With fewer, it is clamped to
    [-2, 2] (sinusoids stay within [-1, 1]). grid: float32 [rows, columns, size].
    """
    down, across = (torch.linalg.pinv(_resizing(side, count)) for count in grid.shape[:2])
    square = torch.einsum("ih,hwd,jw->ijd", down, grid.double(), across)
    return (square if side >= max(grid.shape[:2]) else square.clamp(-2, 2)).float()


def unstretched(square: torch.Tensor, *, rows: int, columns: int) -> torch.Tensor:
    """Resize a square of positions [side, side, size] bilinearly, as DPT does: float32 [rows, columns, size]."""
    channels = square.permute(2, 0, 1)[None]
    return nn.functional.interpolate(channels, size=(rows, columns), mode="bilinear")[0].permute(1, 2, 0)


def _resizing(old: int, new: int) -> torch.Tensor:
    """Return linear resizing of `old` values to `new` (`torch.nn.functional.interpolate`) as a matrix [new, old]."""
    basis = torch.eye(old, dtype=torch.float64)[:, None]
    return nn.functional.interpolate(basis, size=new, mode="linear")[:, 0].T


def middle(grid: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Return the middle rows and columns of a grid [..., all rows, all columns]; as many are left out on both sides."""
    top, left = (grid.shape[-2] - rows) // 2, (grid.shape[-1] - columns) // 2
    return grid[..., top : top + rows, left : left + columns]


def pair(size: int | list[int] | tuple[int, int]) -> tuple[int, int]:
    """Return a size in a transformers configuration, which may be one number, as height and width."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def square_grid(rows: int, columns: int, *, width_px: int) -> tuple[int, int] | None:
    """Choose a square number of learned positions for a grid.

    transformers' DPT keeps (image height / patch height) · (image width / patch width) positions, treats them as a
    square and resizes that to the grid. It uses the patch width for nothing else, so we set it to get a square: the
    smallest one in which every row and every column has its own position, else the largest, but at least half as fine.
    With half, a short training was measured to go no worse; with less, columns at the edges would look the same.

    Returns:
        Side of the square and pixels per column (the patch width), or None if there is no such square.
    """
    squares: list[tuple[int, int]] = []
    for pixels in range(1, width_px + 1):
        side = math.isqrt(rows * (width_px // pixels))
        if 2 * side >= max(rows, columns) and side * side == rows * (width_px // pixels):
            squares.append((side, pixels))
    enough = [option for option in squares if option[0] >= max(rows, columns)]
    return min(enough) if enough else max(squares, default=None)

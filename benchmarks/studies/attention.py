"""Time of the encoder's attention in bfloat16 on one CPU core: in pieces, by torch's fused kernel, and plain.

    python -m benchmarks.studies.attention

Forward and backward of a batch of 32 pictures in the preset `small` (4 heads of 64), median of seven, milliseconds.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from latexify.trainer.model.cpu_attention import attend_in_pieces

BATCH, HEADS, SIZE = 32, 4, 64
CELLS = (16, 64, 128, 192, 320, 512)
NUM_TIMES = 7


def _pieces(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    return attend_in_pieces(nn.Identity(), query, key, value, None)[0]


def _plain(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    scores = query @ key.transpose(-1, -2) * SIZE**-0.5
    mixed: torch.Tensor = scores.softmax(-1, dtype=torch.float32).to(query.dtype) @ value
    return mixed


def time_ms(function: Callable[..., torch.Tensor], *, cells: int) -> float:
    """Return the time of one forward and backward pass, after one that is not counted."""
    generator = torch.Generator().manual_seed(cells)
    shape = (BATCH, cells, HEADS, SIZE)
    heads = [torch.randn(shape, generator=generator).bfloat16().transpose(1, 2).requires_grad_() for _ in range(3)]
    times = []
    for _ in range(NUM_TIMES + 1):
        begin = time.perf_counter()
        function(*heads).sum().backward()  # type: ignore[no-untyped-call]
        times.append(time.perf_counter() - begin)
    return 1000 * statistics.median(times[1:])


def main() -> None:
    """Print a markdown table."""
    torch.set_num_threads(1)
    print("| cells | in pieces | torch's fused kernel | plain |\n|---:|---:|---:|---:|")
    for cells in CELLS:
        times = [time_ms(each, cells=cells) for each in (_pieces, scaled_dot_product_attention, _plain)]
        print(f"| {cells} | " + " | ".join(f"{ms:.1f} ms" for ms in times) + " |", flush=True)


if __name__ == "__main__":
    main()

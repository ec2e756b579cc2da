"""Whether the graphs of an exported model compute what torch computes."""

from dataclasses import dataclass
from typing import Any

import torch

from latexify.common.errors import LatexifyError
from latexify.trainer.inference.backend import TokenDecoder
from latexify.trainer.inference.reader import Reader
from latexify.trainer.model.canvas import Geometry

NUM_PICTURES = 6
NUM_BEAMS = 3
NUM_STEPS = 40
"""More than torch's cache has room for at first."""
BLOT_PX = 4
"""Random pictures are of black and white squares of this side."""
TOLERANCE = 1e-3
"""Of logits, as a share of the largest (or of 1); float32 in another order gives about 1e-5."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How alike two readers are. difference: the largest, of any logit; largest: of all logits, without sign.

    num_tokens: likeliest next tokens that were compared. num_other: of these, which differ though torch prefers its own
    by more than the tolerance. num_pictures, num_steps: what was read.
    """

    difference: float
    largest: float
    num_tokens: int
    num_other: int
    num_pictures: int = NUM_PICTURES
    num_steps: int

    @property
    def tolerance(self) -> float:
        """How far logits may differ."""
        return TOLERANCE * max(1.0, self.largest)

    @property
    def is_equal(self) -> bool:
        """Whether all logits agree within the tolerance, and so do all tokens that are no ties."""
        return self.difference <= self.tolerance and self.num_other == 0

    def require_equal(self) -> None:
        """Raises LatexifyError unless they are."""
        if not self.is_equal:
            raise LatexifyError(
                f"the exported graphs do not compute what torch does (logits differ by {self.difference:.2g}, "
                f"{self.tolerance:.2g} is allowed; {self.num_other} of {self.num_tokens} tokens are others): "
                "nothing was written"
            )

    def __str__(self) -> str:
        return (
            f"equal to torch: logits of up to {self.largest:.3g} differ by at most {self.difference:.1e} on "
            f"{self.num_pictures} random pictures, {self.num_steps} steps with {NUM_BEAMS} beams each; "
            f"all {self.num_tokens} tokens are the same"
        )


@torch.inference_mode()
def compare(expected: Reader, found: Reader, *, geometry: Geometry) -> Comparison:
    """Let both read random pictures, fed with the same tokens, as beams that move and samples that leave.

    Both must be on the CPU.
    """
    pixels = _random_pictures(geometry)
    runs = [_Run(reader, pixels) for reader in (expected, found)]
    num_steps = min(NUM_STEPS, expected.decoder.max_positions - 1)
    tokens = torch.full((NUM_PICTURES,), expected.start_id)
    difference = largest = 0.0
    num_tokens = num_other = 0
    for step in range(num_steps):
        logits, others = (run.step(tokens) for run in runs)
        difference = max(difference, (logits - others).abs().max().item())
        largest = max(largest, logits.abs().max().item())
        best, tokens = logits.max(dim=-1)
        chosen = others.argmax(dim=-1)
        num_tokens += len(tokens)
        lead = best - logits.gather(1, chosen[:, None])[:, 0]
        num_other += int((lead > TOLERANCE * max(1.0, largest)).sum())
        if step == 0:  # the likeliest tokens of each picture, a beam each
            tokens = logits.topk(NUM_BEAMS, dim=-1).indices.flatten()
            rows = torch.arange(NUM_PICTURES).repeat_interleave(NUM_BEAMS)
        else:
            rows = _next_rows(len(tokens), step=step)
            tokens = tokens[rows]
        for run in runs:
            run.keep(rows, step=step)
    return Comparison(
        difference=difference, largest=largest, num_tokens=num_tokens, num_other=num_other, num_steps=num_steps
    )


def _next_rows(num_rows: int, *, step: int) -> torch.Tensor:
    """Which rows to go on from: beams change places within their picture, and half-way the first picture leaves."""
    rows = torch.arange(num_rows).view(-1, NUM_BEAMS).roll(step % NUM_BEAMS, dims=1)
    return rows[1:].flatten() if step == NUM_STEPS // 2 else rows.flatten()


class _Run:
    """One reader at work."""

    def __init__(self, reader: Reader, pixels: torch.Tensor) -> None:
        self._decoder: TokenDecoder[Any] = reader.decoder
        self._cache = reader.decoder.start(reader.encode(pixels))

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        return self._decoder.step(self._cache, tokens)

    def keep(self, rows: torch.Tensor, *, step: int) -> None:
        if step == NUM_STEPS // 2:
            self._cache.keep_samples(torch.arange(1, NUM_PICTURES), rows=rows)
        else:
            self._cache.keep_rows(rows)


def _random_pictures(geometry: Geometry) -> torch.Tensor:
    """uint8 [NUM_PICTURES, height, width], always the same."""
    generator = torch.Generator().manual_seed(1)
    rows, columns = -(-geometry.height_px // BLOT_PX), -(-geometry.width_px // BLOT_PX)
    blots = torch.randint(0, 2, (NUM_PICTURES, rows, columns), dtype=torch.uint8, generator=generator) * 255
    pictures = blots.repeat_interleave(BLOT_PX, dim=1).repeat_interleave(BLOT_PX, dim=2)
    return pictures[:, : geometry.height_px, : geometry.width_px].contiguous()

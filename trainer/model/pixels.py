"""Pictures as the encoder takes them."""

import torch


def grey_of(pixels: torch.Tensor) -> torch.Tensor:
    """Map uint8 (ink 0, paper 255) to float32 (ink -1, paper +1), as TrOCR's image processor does."""
    return pixels.float().div_(127.5).sub_(1)  # in place: it is most of the cost

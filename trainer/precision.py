"""Which device, and which number format on it."""

import contextlib
from dataclasses import dataclass

import torch

from shards.errors import LatexifyError

BF16_CAPABILITY = 8
"""CUDA compute capability from which the tensor cores compute in bfloat16 (Ampere)."""

_DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, kw_only=True)
class Precision:
    """The number format of the forward pass; weights and optimizer stay float32.

    name: `fp32`, `bf16` or `fp16`. Only `fp16` needs its loss scaled: its smallest number is 6e-8.
    """

    name: str
    device: torch.device

    @property
    def needs_scaler(self) -> bool:
        """Whether gradients would vanish unless the loss is scaled."""
        return self.name == "fp16"

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """The context of a forward pass."""
        dtype = _DTYPES[self.name]
        if dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=dtype)


def choose_device(name: str | None) -> torch.device:
    """The device named, or the best there is. Raises LatexifyError where it is unknown or not there."""
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise LatexifyError(f"device {name!r} cannot be used ({reason}): try --device cpu") from None
    return device


def choose_precision(requested: str, *, device: torch.device) -> Precision:
    """Resolve `auto` by what the device computes fast; anything else is taken at its word."""
    if requested != "auto":
        return Precision(name=requested, device=device)
    if device.type != "cuda":
        # bfloat16 on a CPU without AMX or AVX512-BF16 is about 30 times slower than float32
        return Precision(name="fp32", device=device)
    major, _ = torch.cuda.get_device_capability(device)
    return Precision(name="bf16" if major >= BF16_CAPABILITY else "fp16", device=device)

"""Which device, and which number format on it."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from latexify.common.errors import LatexifyError

if TYPE_CHECKING:
    from transformers import VisionEncoderDecoderModel  # seconds, which who only reads need not wait for

BF16_CAPABILITY = 8
"""CUDA compute capability from which the tensor cores compute in bfloat16 (Ampere)."""
BF16_CPU_FLAGS = ("avx512_bf16", "amx_bf16")
"""torch's names of the instructions with which a processor multiplies bfloat16: AMD from Zen 4, Intel from Cooper Lake
and Sapphire Rapids. ARM's are left out: nobody measured them here."""
PLAIN_ATTENTION_PX = 128 * 256
"""Up to this canvas the encoder's attention in bfloat16 on a CPU is transformers' plain one: a step of the preset
`tiny` then takes a fifth less time than with torch's fused one, measured at 32x128 and 64x256 pixels. With the 577
cells of TrOCR's own canvas the fused one is the faster, and needs less memory."""

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
    """Resolve `auto` by what the device computes fast; anything else is taken at its word.

    It goes by what the device says of itself, never by a clock, so that the same machine always gives the same answer.
    """
    if requested != "auto":
        return Precision(name=requested, device=device)
    if is_native("bf16", device=device):
        return Precision(name="bf16", device=device)
    return Precision(name="fp16" if device.type == "cuda" else "fp32", device=device)


def is_native(name: str, *, device: torch.device) -> bool:
    """Whether the device computes in this format, rather than emulating it, and is faster for it (or it is fp32)."""
    if name == "fp32":
        return True
    if device.type == "cuda":
        return name == "fp16" or torch.cuda.get_device_capability(device)[0] >= BF16_CAPABILITY
    # what mkldnn says will not do: it is content with any AVX-512, where bfloat16 is about 30 times slower than float32
    return name == "bf16" and any(cpu_capabilities().get(flag) for flag in BF16_CPU_FLAGS)


def cpu_capabilities() -> Mapping[str, Any]:
    """What the processor can do, by torch's names such as `avx512_bf16`; empty where torch is too old to tell."""
    ask = getattr(torch.cpu, "get_capabilities", dict)
    capabilities: Mapping[str, Any] = ask()
    return capabilities


def fit_to_device(model: "VisionEncoderDecoderModel", *, precision: Precision, canvas_px: int) -> None:
    """Move the model to its device, in the form in which it is fastest there; the exported folder does not tell.

    canvas_px: pixels of the picture.
    """
    # convolutions are a tenth faster with the channels innermost, on a CPU too
    model.to(precision.device, memory_format=torch.channels_last)
    if precision.name == "bf16" and precision.device.type == "cpu" and canvas_px <= PLAIN_ATTENTION_PX:
        model.encoder.set_attn_implementation("eager")

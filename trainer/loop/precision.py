"""The device, and the number format on it."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from latexify.common.errors import LatexifyError, first_line

if TYPE_CHECKING:
    from transformers import VisionEncoderDecoderModel  # it takes seconds, and inference does not need it

BF16_CAPABILITY = 8
"""CUDA compute capability from which the tensor cores compute in bfloat16 (Ampere)."""
BF16_CPU_FLAGS = ("avx512_bf16", "amx_bf16")
"""torch's names of CPU instructions that multiply bfloat16: AMD from Zen 4, Intel from Cooper Lake and Sapphire Rapids.
ARM's are left out because we have not measured them."""

_DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, kw_only=True)
class Precision:
    """The number format of the forward pass; weights and optimizer stay float32."""

    name: str  # `fp32`, `bf16` or `fp16`
    device: torch.device

    @property
    def needs_scaler(self) -> bool:
        """Whether the loss must be scaled, or gradients would vanish: the smallest number of fp16 is 6e-8."""
        return self.name == "fp16"

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """Return the context of a forward pass."""
        dtype = _DTYPES[self.name]
        return contextlib.nullcontext() if dtype is None else torch.autocast(self.device.type, dtype=dtype)


def choose_device(name: str | None) -> torch.device:
    """Return the named device, by default the best available. Raises LatexifyError if it is unknown or missing."""
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise LatexifyError(f"device {name!r} cannot be used ({first_line(error)}): try --device cpu") from None
    return device


def choose_precision(requested: str, *, device: torch.device) -> Precision:
    """Resolve `auto` to a format that the device computes fast; keep any other request.

    This depends on the capabilities that the device reports, not on timing, so it is the same every time.
    """
    if requested != "auto":
        return Precision(name=requested, device=device)
    if is_native("bf16", device=device) and not _is_bf16_slower(device):
        return Precision(name="bf16", device=device)
    return Precision(name="fp16" if device.type == "cuda" else "fp32", device=device)


def is_native(name: str, *, device: torch.device) -> bool:
    """Whether the device computes in this format itself, rather than emulating it."""
    if name == "fp32":
        return True
    if device.type == "cuda":
        return name == "fp16" or torch.cuda.get_device_capability(device)[0] >= BF16_CAPABILITY
    # mkldnn's own check accepts any AVX-512, on which bfloat16 is about 30 times slower than float32
    return name == "bf16" and any(cpu_capabilities().get(flag) for flag in BF16_CPU_FLAGS)


def _is_bf16_slower(device: torch.device) -> bool:
    """Whether bf16 takes longer than fp32, although the device computes in it itself.

    Intel's cores do as many bfloat16 products with AVX512-BF16 as float32 ones, and convert between both. A training
    step of the preset `small` took 1.7 times as long in bf16 on a Xeon without AMX (docs/log/performance.md). AMD's
    cores do twice as many products in bfloat16.
    """
    if device.type != "cpu":
        return False
    capabilities = cpu_capabilities()
    return str(capabilities.get("cpu_name", "")).startswith("Intel") and not capabilities.get("amx_bf16")


def cpu_capabilities() -> Mapping[str, Any]:
    """Return CPU capabilities by torch's names, such as `avx512_bf16`; empty if torch is too old to report them."""
    capabilities: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return capabilities


def fit_to_device(model: "VisionEncoderDecoderModel", *, precision: Precision) -> None:
    """Move the model to its device, in the layout that is fastest there; exports stay the same."""
    # convolutions are 10 % faster with the channels innermost, on a CPU too
    model.to(precision.device, memory_format=torch.channels_last)
    if precision.name == "bf16" and precision.device.type == "cpu":
        from latexify.trainer.model.cpu_attention import attend_by_pieces  # noqa: PLC0415  # it imports transformers

        attend_by_pieces(model)

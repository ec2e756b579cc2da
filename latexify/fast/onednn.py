"""Linear layers and convolutions by oneDNN's packed operators, which torch offers under private names only.

With AVX-512, torch leaves linear layers in float32 to MKL, which uses half the width of AMD's vector units (98 against
227 GFLOP/s on one core of an EPYC). torch also reorders the weights of a convolution in every call, and one with a
single channel takes seven times as long. These operators are the ones that `torch.compile` emits for the same layers,
without its minutes of compilation: weights are reordered once.

With AVX2 it is the other way round. On one core of an older EPYC the packed convolutions of one picture take four times
as long as torch's own, those of eight a third longer, and a linear layer of one row twice as long.
"""

import platform
from collections.abc import Sequence

import torch

from latexify.fast.switch import use_plain

OPERATORS = torch.ops.mkldnn  # oneDNN's operators, under its former name
NAMES = (
    "_reorder_linear_weight",
    "_linear_pointwise",
    "_reorder_convolution_weight",
    "_convolution_pointwise",
    "_convolution_pointwise_",
)

KNOWN_TORCH = ((2, 4), (2, 14))  # versions with these signatures: from the first, up to below the second
TYPICAL_ROWS = 64  # input rows that linear layers are packed for; other numbers are as fast, within the noise


def is_packable(weight: torch.Tensor) -> bool:
    """Whether a layer with these weights should be packed: it can be, and was measured to be faster."""
    return not use_plain() and can_pack(weight) and torch.backends.cpu.get_cpu_capability().startswith("AVX512")


def can_pack(weight: torch.Tensor) -> bool:
    """Whether this torch has oneDNN's operators for a layer with these weights."""
    major, minor = (int(number) for number in torch.__version__.split(".")[:2])
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and platform.machine() in {"x86_64", "AMD64"}
        and KNOWN_TORCH[0] <= (major, minor) < KNOWN_TORCH[1]
        and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
        and all(hasattr(OPERATORS, name) for name in NAMES)
    )


class PackedLinear:
    """A linear layer: float32 [..., inputs] to [..., outputs]."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        """Pack the weights. weight: [outputs, inputs]; bias: [outputs]. Later changes of them have no effect."""
        self._weight = OPERATORS._reorder_linear_weight(weight, TYPICAL_ROWS)  # noqa: SLF001  # no public name
        self._bias = bias

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """Apply the layer."""
        apply = OPERATORS._linear_pointwise  # noqa: SLF001
        result: torch.Tensor = apply(hidden, self._weight, self._bias, "none", [], "")
        return result


class PackedConvolution:
    """A convolution: float32 [batch, inputs, height, width] to [batch, outputs, height, width]."""

    def __init__(
        self, weight: torch.Tensor, bias: torch.Tensor | None, *, stride: Sequence[int], padding: Sequence[int]
    ) -> None:
        """Pack the weights. weight: [outputs, inputs, height, width]; bias: [outputs]."""
        self._bias = bias
        self._shape = list(padding), list(stride), [1, 1], 1
        self._weight = OPERATORS._reorder_convolution_weight(weight, *self._shape, [])  # noqa: SLF001

    def __call__(self, hidden: torch.Tensor, *, activation: str = "none") -> torch.Tensor:
        """Apply the convolution, then `activation` ("none" or "relu")."""
        apply = OPERATORS._convolution_pointwise  # noqa: SLF001
        result: torch.Tensor = apply(hidden, self._weight, self._bias, *self._shape, activation, [], "")
        return result

    def add_relu(self, hidden: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        """Apply the convolution, add `residual` in place, then ReLU."""
        apply = OPERATORS._convolution_pointwise_.binary
        result: torch.Tensor = apply(
            residual, hidden, self._weight, self._bias, *self._shape, "add", 1.0, "relu", [], ""
        )
        return result

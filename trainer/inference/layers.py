"""Linear layers and convolutions for reading, by oneDNN where that is faster than what torch takes by itself.

With AVX-512, torch leaves linear layers in float32 to MKL, which uses half the width of AMD's vector units (98 against
227 GFLOP/s on a core of an EPYC); it puts a convolution's weights in order anew in every call, and one of a single
channel takes seven times as long. The operators here are those that `torch.compile` makes of the same layers, without
its minutes: weights are put in order once.

With AVX2 it is the other way round: on a core of an older EPYC the packed convolutions of one picture take four times
as long as torch's own, those of eight a third longer, and a linear layer of one row twice as long.
"""

import platform
from collections.abc import Mapping, Sequence

import torch
from torch.nn import functional

Weights = Mapping[str, torch.Tensor]

_OPERATORS = torch.ops.mkldnn
"""oneDNN's, by its former name. Their names begin with an underscore; torch has no others for them."""

TYPICAL_ROWS = 64
"""Rows of an input that linear layers are laid out for; others are computed as fast, to within the noise."""


class Linear:
    """A linear layer: float32 [..., inputs] to [..., outputs]."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, *, packed: bool = True) -> None:
        """weight: [outputs, inputs]; bias: [outputs]. They are not followed if they change. packed: where it can be."""
        self._bias = bias
        self._is_packed = packed and is_packable(weight)
        self._weight = weight
        if self._is_packed:
            self._weight = _OPERATORS._reorder_linear_weight(weight, TYPICAL_ROWS)  # noqa: SLF001  # see there

    @classmethod
    def of(cls, weights: Weights, *names: str, packed: bool = True) -> "Linear":
        """The layer of this name, or several that share their input as one."""
        biases = [weights[f"{name}.bias"] for name in names if f"{name}.bias" in weights]
        weight = torch.cat([weights[f"{name}.weight"] for name in names])
        return cls(weight, torch.cat(biases) if biases else None, packed=packed)

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """hidden: [..., inputs]; returns [..., outputs]."""
        if not self._is_packed:
            return functional.linear(hidden, self._weight, self._bias)
        compute = _OPERATORS._linear_pointwise  # noqa: SLF001  # see there
        computed: torch.Tensor = compute(hidden, self._weight, self._bias, "none", [], "")
        return computed


class Norm:
    """A layer norm over the last dimension."""

    def __init__(self, weights: Weights, name: str, *, epsilon: float = 1e-5) -> None:
        self._weight, self._bias, self._epsilon = weights[f"{name}.weight"], weights[f"{name}.bias"], epsilon

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """hidden: [..., size]; returns the same shape."""
        return functional.layer_norm(hidden, self._bias.shape, self._weight, self._bias, self._epsilon)


class Convolution:
    """A convolution of pictures: float32 [batch, channels, height, width], on a CPU with channels innermost."""

    def __init__(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        *,
        stride: Sequence[int] = (1, 1),
        padding: Sequence[int] = (0, 0),
        packed: bool = True,
    ) -> None:
        """weight: [outputs, inputs, height, width]; bias: [outputs]. The others as for `Linear`."""
        self._bias, self._stride, self._padding = bias, list(stride), list(padding)
        self._is_packed = packed and is_packable(weight)
        self._weight = weight
        if self._is_packed:
            pack = _OPERATORS._reorder_convolution_weight  # noqa: SLF001  # see there
            self._weight = pack(weight, self._padding, self._stride, [1, 1], 1, [])
        elif packed and weight.device.type == "cpu":
            # channels innermost, here and in what comes out: about a tenth faster
            self._weight = weight.contiguous(memory_format=torch.channels_last)

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """hidden: [batch, inputs, height, width]; returns [batch, outputs, height, width]."""
        if not self._is_packed:
            return functional.conv2d(hidden, self._weight, self._bias, self._stride, self._padding)
        return self._packed(hidden, "none")

    def relu(self, hidden: torch.Tensor, *, beside: torch.Tensor | None = None) -> torch.Tensor:
        """The convolution, what stands `beside` added to it, without what is negative then. `beside` may be lost."""
        if not self._is_packed:
            convolved = self(hidden)
            return (convolved if beside is None else convolved.add_(beside)).relu_()
        if beside is None:
            return self._packed(hidden, "relu")
        add = _OPERATORS._convolution_pointwise_.binary
        shape = self._padding, self._stride, [1, 1], 1
        summed: torch.Tensor = add(beside, hidden, self._weight, self._bias, *shape, "add", 1.0, "relu", [], "")
        return summed

    def _packed(self, hidden: torch.Tensor, activation: str) -> torch.Tensor:
        shape = self._padding, self._stride, [1, 1], 1
        convolve = _OPERATORS._convolution_pointwise  # noqa: SLF001  # see there
        convolved: torch.Tensor = convolve(hidden, self._weight, self._bias, *shape, activation, [], "")
        return convolved


def is_packable(weight: torch.Tensor) -> bool:
    """Whether a layer of these weights is to be left to oneDNN: it can be, and was seen to be the faster for it."""
    return can_pack(weight) and torch.backends.cpu.get_cpu_capability().startswith("AVX512")


def can_pack(weight: torch.Tensor) -> bool:
    """Whether oneDNN is there for a layer of these weights."""
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and platform.machine() in {"x86_64", "AMD64"}
        and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
        and hasattr(_OPERATORS, "_linear_pointwise")
    )

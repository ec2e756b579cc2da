"""Linear layers, norms and convolutions for inference, packed by oneDNN where that is faster (`fast.onednn`)."""

from collections.abc import Mapping, Sequence

import torch
from torch.nn import functional

from latexify.fast import onednn

Weights = Mapping[str, torch.Tensor]


class Linear:
    """A linear layer: float32 [..., inputs] to [..., outputs]."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, *, packed: bool = True) -> None:
        """Prepare the weights, [outputs, inputs] and [outputs]; later changes may have no effect.

        packed: let oneDNN pack them where that is faster.
        """
        self._weight, self._bias = weight, bias
        self._packed = onednn.PackedLinear(weight, bias) if packed and onednn.is_packable(weight) else None

    @classmethod
    def load(cls, weights: Weights, *names: str, scales: Sequence[float] = (), packed: bool = True) -> "Linear":
        """Make the layer of this name, or one of several that share their input; `scales` multiply their outputs."""
        scaled = list(zip(names, scales or [1.0] * len(names), strict=True))
        weight = torch.cat([_scale(weights[f"{name}.weight"], scale) for name, scale in scaled])
        biases = [_scale(weights[f"{name}.bias"], scale) for name, scale in scaled if f"{name}.bias" in weights]
        return cls(weight, torch.cat(biases) if biases else None, packed=packed)

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """Apply the layer."""
        if self._packed is not None:
            return self._packed(hidden)
        return functional.linear(hidden, self._weight, self._bias)


def _scale(weight: torch.Tensor, scale: float) -> torch.Tensor:
    return weight if scale == 1 else weight * scale


class Norm:
    """A layer norm over the last dimension."""

    def __init__(self, weights: Weights, name: str, *, epsilon: float = 1e-5) -> None:
        self._weight, self._bias, self._epsilon = weights[f"{name}.weight"], weights[f"{name}.bias"], epsilon

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """Apply the norm; the shape stays the same."""
        return functional.layer_norm(hidden, self._bias.shape, self._weight, self._bias, self._epsilon)


class Convolution:
    """A convolution: float32 [batch, inputs, height, width] to [batch, outputs, height, width].

    On a CPU the channels of its output are innermost in memory.
    """

    def __init__(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        *,
        stride: Sequence[int] = (1, 1),
        padding: Sequence[int] = (0, 0),
        packed: bool = True,
    ) -> None:
        """Prepare the weights, [outputs, inputs, height, width] and [outputs]; later changes may have no effect.

        packed: let oneDNN pack them where that is faster.
        """
        self._weight, self._bias, self._stride, self._padding = weight, bias, list(stride), list(padding)
        self._packed = None
        if packed and onednn.is_packable(weight):
            self._packed = onednn.PackedConvolution(weight, bias, stride=stride, padding=padding)
        elif packed and weight.device.type == "cpu":
            # channels innermost, here and in the output: about a tenth faster
            self._weight = weight.contiguous(memory_format=torch.channels_last)

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """Apply the convolution."""
        if self._packed is not None:
            return self._packed(hidden)
        return functional.conv2d(hidden, self._weight, self._bias, self._stride, self._padding)

    def relu(self, hidden: torch.Tensor, *, residual: torch.Tensor | None = None) -> torch.Tensor:
        """Apply the convolution, add `residual`, then ReLU. May overwrite `residual`."""
        if self._packed is not None:
            if residual is None:
                return self._packed(hidden, activation="relu")
            return self._packed.add_relu(hidden, residual)
        convolved = self(hidden)
        return (convolved if residual is None else convolved.add_(residual)).relu_()

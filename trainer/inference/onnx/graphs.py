"""The two graphs of an exported model, as modules that torch can export: pictures to keys and values, and one step.

`encoder`: pixels, uint8 [batch, height, width], to `memory_key_N` [batch, heads, head_size, cells] and `memory_value_N`
[batch, heads, cells, head_size] of every layer N, which all steps look at.

`decoder`: tokens, int64 [samples, beams], with these and with `past_key_N` and `past_value_N` [samples, beams, heads,
length, head_size] (length 0 at the first step), to `logits` [samples, beams, vocabulary] and `present_key_N` and
`present_value_N`, which are the past of the next step. To reorder beams, gather the past; beams of a sample share its
memory. All floats are float32.

The decoder's arithmetic is that of `latexify.trainer.inference.decoder`, in the form that runs fast where nothing compiles or
reshapes it: the scale of attention is in the weights, and keys of pictures lie as they are multiplied.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from latexify.trainer.inference.decoder import ACTIVATIONS, POSITION_OFFSET
from latexify.trainer.inference.layers import Weights

STACK = "model.decoder"
"""Where transformers keeps the layers, below `decoder.`."""


class EncoderGraph(nn.Module):
    """Pictures to what every layer of the decoder looks at."""

    def __init__(
        self, encode: Callable[[torch.Tensor], torch.Tensor], config: Mapping[str, Any], weights: Weights
    ) -> None:
        """encode: as in `Reader`. config, weights: of the decoder, see `StepDecoder`."""
        super().__init__()
        self._encode = encode
        self._heads = int(config["decoder_attention_heads"])
        names = [f"{STACK}.layers.{number}.encoder_attn" for number in range(config["decoder_layers"])]
        self._keys = nn.ModuleList(_linear(weights, f"{name}.k_proj") for name in names)
        self._values = nn.ModuleList(_linear(weights, f"{name}.v_proj") for name in names)

    def forward(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """Key and value of each layer in turn."""
        memory = self._encode(pixels)
        samples, cells = memory.shape[:2]
        found = []
        for key, value in zip(self._keys, self._values, strict=True):
            found.append(key(memory).view(samples, cells, self._heads, -1).permute(0, 2, 3, 1))
            found.append(value(memory).view(samples, cells, self._heads, -1).transpose(1, 2))
        return found


class DecoderGraph(nn.Module):
    """One step of the decoder."""

    def __init__(self, config: Mapping[str, Any], weights: Weights) -> None:
        """config, weights: of the decoder, see `StepDecoder`, which says what kinds there are."""
        super().__init__()
        self._tokens = nn.Buffer(weights[f"{STACK}.embed_tokens.weight"])
        self._positions = nn.Buffer(weights[f"{STACK}.embed_positions.weight"][POSITION_OFFSET:].clone())
        self._scale = float(config["d_model"]) ** 0.5 if config["scale_embedding"] else 1.0
        self._first_norm = (
            _norm(weights, f"{STACK}.layernorm_embedding") if config["layernorm_embedding"] else nn.Identity()
        )
        self._layers = nn.ModuleList(
            _Layer(
                weights,
                f"{STACK}.layers.{number}",
                heads=int(config["decoder_attention_heads"]),
                activation=ACTIVATIONS[config["activation_function"]],
            )
            for number in range(config["decoder_layers"])
        )
        # left out of the file where it is the same as the input's
        self._output = nn.Buffer(weights["output_projection.weight"]) if _is_untied(weights) else None

    def forward(
        self, tokens: torch.Tensor, memory: Sequence[torch.Tensor], past: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Logits, and the present. memory, past: key and value of each layer in turn."""
        samples, beams = tokens.shape
        length = past[0].shape[3]
        hidden = nn.functional.embedding(tokens.flatten(), self._tokens) * self._scale
        hidden = self._first_norm(hidden + self._positions[length])
        present = []
        for number, layer in enumerate(self._layers):
            pair = slice(2 * number, 2 * number + 2)
            hidden, *entry = layer(hidden, memory[pair], past[pair])
            present += entry
        output = self._tokens if self._output is None else self._output
        return nn.functional.linear(hidden, output).view(samples, beams, -1), present


class _Layer(nn.Module):
    """Look at the tokens so far, then at the picture, then think."""

    def __init__(
        self,
        weights: Weights,
        name: str,
        *,
        heads: int,
        activation: Callable[[torch.Tensor], torch.Tensor],
    ) -> None:
        super().__init__()
        own, other = f"{name}.self_attn", f"{name}.encoder_attn"
        size = len(weights[f"{own}.out_proj.bias"])
        self._heads, self._size = heads, size
        scale = (size // heads) ** -0.5
        self._past = _linear(weights, f"{own}.q_proj", f"{own}.k_proj", f"{own}.v_proj", scales=(scale, 1.0, 1.0))
        self._past_out = _linear(weights, f"{own}.out_proj")
        self._past_norm = _norm(weights, f"{name}.self_attn_layer_norm")
        self._query = _linear(weights, f"{other}.q_proj", scales=(scale,))
        self._memory_out = _linear(weights, f"{other}.out_proj")
        self._memory_norm = _norm(weights, f"{name}.encoder_attn_layer_norm")
        self._widen = _linear(weights, f"{name}.fc1")
        self._narrow = _linear(weights, f"{name}.fc2")
        self._last_norm = _norm(weights, f"{name}.final_layer_norm")
        self._activation = activation

    def forward(
        self, hidden: torch.Tensor, memory: Sequence[torch.Tensor], past: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """hidden: [samples * beams, size]; returns it changed, and the present's key and value."""
        samples, beams = past[0].shape[:2]
        entry = self._past(hidden).split(self._size, dim=-1)
        query, key, value = (part.view(samples, beams, self._heads, 1, -1) for part in entry)
        key, value = torch.cat([past[0], key], dim=3), torch.cat([past[1], value], dim=3)
        seen = (query @ key.transpose(-1, -2)).softmax(dim=-1) @ value
        hidden = self._past_norm(hidden + self._past_out(seen.reshape(-1, self._size)))
        query = self._query(hidden).view(samples, beams, self._heads, -1).transpose(1, 2)
        seen = (query @ memory[0]).softmax(dim=-1) @ memory[1]
        hidden = self._memory_norm(hidden + self._memory_out(seen.transpose(1, 2).reshape(-1, self._size)))
        thought = self._narrow(self._activation(self._widen(hidden)))
        return self._last_norm(hidden + thought), key, value


def _linear(weights: Weights, *names: str, scales: Sequence[float] = (1.0,)) -> nn.Linear:
    """One layer, or several that share their input as one; what each puts out is scaled."""
    scaled = list(zip(names, scales, strict=True))
    weight = torch.cat([weights[f"{name}.weight"] * scale for name, scale in scaled])
    bias = torch.cat([weights[f"{name}.bias"] * scale for name, scale in scaled])
    linear = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    linear.load_state_dict({"weight": weight, "bias": bias}, assign=True)
    return linear.requires_grad_(requires_grad=False)


def _norm(weights: Weights, name: str) -> nn.LayerNorm:
    norm = nn.LayerNorm(len(weights[f"{name}.bias"]))
    norm.load_state_dict({part: weights[f"{name}.{part}"] for part in ("weight", "bias")})
    return norm.requires_grad_(requires_grad=False)


def _is_untied(weights: Weights) -> bool:
    """Whether the output has a table of its own; a state dict names a shared one twice."""
    output = weights.get("output_projection.weight")
    return output is not None and not torch.equal(output, weights[f"{STACK}.embed_tokens.weight"])

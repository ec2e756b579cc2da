"""TrOCR's decoder, a token at a time, with the keys and values of earlier tokens kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional

from shards.errors import LatexifyError

Weights = Mapping[str, torch.Tensor]

ACTIVATIONS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu": functional.gelu,
    "relu": functional.relu,
    "silu": functional.silu,
}
"""By the names of transformers' configurations."""

POSITION_OFFSET = 2
"""TrOCR's table of learned positions begins with two rows that it never uses."""

FIRST_CAPACITY = 32
"""Positions that a cache has room for at first; most formulas are shorter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Affine:
    """Weight and bias of a linear layer, or of a norm."""

    weight: torch.Tensor
    bias: torch.Tensor

    @classmethod
    def of(cls, weights: Weights, *names: str) -> "_Affine":
        """One layer, or several that share their input as one."""
        if len(names) == 1:
            return cls(weight=weights[f"{names[0]}.weight"], bias=weights[f"{names[0]}.bias"])
        return cls(
            weight=torch.cat([weights[f"{name}.weight"] for name in names]),
            bias=torch.cat([weights[f"{name}.bias"] for name in names]),
        )

    def linear(self, hidden: torch.Tensor) -> torch.Tensor:
        return functional.linear(hidden, self.weight, self.bias)

    def norm(self, hidden: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(hidden, self.bias.shape, self.weight, self.bias)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """The weights of one layer. past: query, key and value of the tokens; memory: key and value of the picture."""

    past: _Affine
    past_out: _Affine
    past_norm: _Affine
    query: _Affine
    memory: _Affine
    memory_out: _Affine
    memory_norm: _Affine
    widen: _Affine
    narrow: _Affine
    last_norm: _Affine

    @classmethod
    def of(cls, weights: Weights, name: str) -> "_Layer":
        own, other = f"{name}.self_attn", f"{name}.encoder_attn"
        return cls(
            past=_Affine.of(weights, f"{own}.q_proj", f"{own}.k_proj", f"{own}.v_proj"),
            past_out=_Affine.of(weights, f"{own}.out_proj"),
            past_norm=_Affine.of(weights, f"{name}.self_attn_layer_norm"),
            query=_Affine.of(weights, f"{other}.q_proj"),
            memory=_Affine.of(weights, f"{other}.k_proj", f"{other}.v_proj"),
            memory_out=_Affine.of(weights, f"{other}.out_proj"),
            memory_norm=_Affine.of(weights, f"{name}.encoder_attn_layer_norm"),
            widen=_Affine.of(weights, f"{name}.fc1"),
            narrow=_Affine.of(weights, f"{name}.fc2"),
            last_norm=_Affine.of(weights, f"{name}.final_layer_norm"),
        )


@dataclass(slots=True, kw_only=True)
class Cache:
    """What the next step needs of the steps before it; all lists have an entry for each layer.

    memory: [2, samples, heads, cells, head_size], keys and values of the pictures, which all rows of a sample share.
    past: [rows, 2, heads, capacity, head_size], of the tokens; rows of a sample stand together. length: tokens so far.
    """

    memory: list[torch.Tensor]
    past: list[torch.Tensor] = field(default_factory=list)
    length: int = 0

    def keep_samples(self, samples: torch.Tensor, *, rows: torch.Tensor) -> None:
        """Go on with these samples only (int64), and the rows that are theirs."""
        self.memory = [memory.index_select(1, samples) for memory in self.memory]
        self.keep_rows(rows)

    def keep_rows(self, rows: torch.Tensor) -> None:
        """Go on from these rows (int64; a row may be taken more than once), of the same samples as before."""
        self.past = [past[:, :, :, : self.length].index_select(0, rows) for past in self.past]

    def place(self, layer: int, entry: torch.Tensor) -> torch.Tensor:
        """Write the keys and values of this step ([rows, 2, heads, head_size]); return those of all steps."""
        if layer == len(self.past):
            self.past.append(_with_room(entry[:, :, :, None], FIRST_CAPACITY))
        elif self.past[layer].shape[3] == self.length:
            self.past[layer] = _with_room(self.past[layer], 2 * self.length)
        past = self.past[layer]
        past[:, :, :, self.length] = entry
        return past[:, :, :, : self.length + 1]


def _with_room(past: torch.Tensor, capacity: int) -> torch.Tensor:
    """A copy with room for `capacity` positions."""
    roomy = past.new_empty(*past.shape[:3], capacity, past.shape[4])
    roomy[:, :, :, : past.shape[3]] = past
    return roomy


class StepDecoder:
    """TrOCR's decoder (transformers' `TrOCRForCausalLM`, learned positions) for one token of each row at a time."""

    def __init__(self, config: Mapping[str, Any], weights: Weights) -> None:
        """Take the `decoder` section of a model's config.json and its weights, by their names below `decoder.`.

        Raises LatexifyError where it is another kind of decoder.
        """
        if config["model_type"] != "trocr" or not config["use_learned_position_embeddings"]:
            raise LatexifyError(f"a decoder of type {config['model_type']} without learned positions cannot be read")
        if config["activation_function"] not in ACTIVATIONS:
            raise LatexifyError(f"a decoder with the activation {config['activation_function']} cannot be read")
        stack = "model.decoder"
        self.max_positions = int(config["max_position_embeddings"])
        self._heads = int(config["decoder_attention_heads"])
        self._activation = ACTIVATIONS[config["activation_function"]]
        self._tokens = weights[f"{stack}.embed_tokens.weight"]
        self._scale = float(config["d_model"]) ** 0.5 if config["scale_embedding"] else 1.0
        self._positions = weights[f"{stack}.embed_positions.weight"]
        self._first_norm = (
            _Affine.of(weights, f"{stack}.layernorm_embedding") if config["layernorm_embedding"] else None
        )
        self._layers = [_Layer.of(weights, f"{stack}.layers.{number}") for number in range(config["decoder_layers"])]
        # left out of the file where it is the same as the input's
        self._output = weights.get("output_projection.weight", self._tokens)

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""
        return len(self._output)

    def start(self, memory: torch.Tensor) -> Cache:
        """Begin to read pictures. memory: floating [samples, cells, size], what the encoder made of them."""
        samples, cells = memory.shape[:2]
        return Cache(
            memory=[
                layer.memory.linear(memory)
                .view(samples, cells, 2, self._heads, -1)
                .permute(2, 0, 3, 1, 4)
                .contiguous()  # every step reads it
                for layer in self._layers
            ]
        )

    def step(self, cache: Cache, tokens: torch.Tensor) -> torch.Tensor:
        """Append a token to every row. tokens: int64 [rows]; returns logits, float32 [rows, vocabulary]."""
        hidden = functional.embedding(tokens, self._tokens)
        if self._scale != 1:
            hidden = hidden * self._scale
        hidden = hidden + self._positions[cache.length + POSITION_OFFSET]
        if self._first_norm is not None:
            hidden = self._first_norm.norm(hidden)
        for number, layer in enumerate(self._layers):
            hidden = self._through(layer, hidden, cache, number)
        cache.length += 1
        return functional.linear(hidden, self._output).float()

    def _through(self, layer: _Layer, hidden: torch.Tensor, cache: Cache, number: int) -> torch.Tensor:
        """One layer: look at the tokens so far, then at the picture, then think."""
        rows, memory = len(hidden), cache.memory[number]
        entry = layer.past.linear(hidden).view(rows, 3, self._heads, -1)
        past = cache.place(number, entry[:, 1:])
        seen = functional.scaled_dot_product_attention(entry[:, 0, :, None], past[:, 0], past[:, 1])
        hidden = layer.past_norm.norm(hidden + layer.past_out.linear(seen.reshape(rows, -1)))
        samples = memory.shape[1]
        query = layer.query.linear(hidden).view(samples, rows // samples, self._heads, -1).transpose(1, 2)
        seen = functional.scaled_dot_product_attention(query, memory[0], memory[1])
        hidden = layer.memory_norm.norm(hidden + layer.memory_out.linear(seen.transpose(1, 2).reshape(rows, -1)))
        thought = layer.narrow.linear(self._activation(layer.widen.linear(hidden)))
        return layer.last_norm.norm(hidden + thought)

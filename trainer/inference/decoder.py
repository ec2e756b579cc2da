"""TrOCR's decoder, a token at a time, with the keys and values of earlier tokens kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional

from latexify.common.errors import LatexifyError
from latexify.trainer.inference.layers import Linear, Norm, Weights

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
class _Layer:
    """The weights of one layer.

    past: query, key and value of the tokens. query, keys, values: of what is asked of the picture; keys float32 [heads,
    head_size, size], scaled, and values [heads, size, head_size], size being that of a cell.
    """

    past: Linear
    past_out: Linear
    past_norm: Norm
    query: Linear
    keys: torch.Tensor
    values: torch.Tensor
    memory_out: Linear
    memory_norm: Norm
    widen: Linear
    narrow: Linear
    last_norm: Norm

    @classmethod
    def of(cls, weights: Weights, name: str, *, heads: int) -> "_Layer":
        own, other = f"{name}.self_attn", f"{name}.encoder_attn"
        keys, values = (weights[f"{other}.{kind}_proj.weight"] for kind in "kv")
        size = keys.shape[1]
        keys, values = keys.view(heads, -1, size), values.view(heads, -1, size)
        out = weights[f"{other}.out_proj.weight"]
        return cls(
            past=Linear.of(weights, f"{own}.q_proj", f"{own}.k_proj", f"{own}.v_proj"),
            past_out=Linear.of(weights, f"{own}.out_proj"),
            past_norm=Norm(weights, f"{name}.self_attn_layer_norm"),
            query=Linear.of(weights, f"{other}.q_proj"),
            keys=(keys * keys.shape[1] ** -0.5).contiguous(),
            values=values.transpose(1, 2).contiguous(),
            # attention sums to one, so that the bias of the values comes through whole
            memory_out=Linear(out, weights[f"{other}.out_proj.bias"] + out @ weights[f"{other}.v_proj.bias"]),
            memory_norm=Norm(weights, f"{name}.encoder_attn_layer_norm"),
            widen=Linear.of(weights, f"{name}.fc1"),
            narrow=Linear.of(weights, f"{name}.fc2"),
            last_norm=Norm(weights, f"{name}.final_layer_norm"),
        )


@dataclass(slots=True, kw_only=True)
class Cache:
    """What the next step needs of the steps before it.

    memory: [samples, cells, size], the pictures as the encoder left them, which all rows of a sample share. past: of
    each layer, keys and values of the tokens, [rows, 2, heads, capacity, head_size]; rows of a sample stand together.
    length: tokens so far.
    """

    memory: torch.Tensor
    past: list[torch.Tensor] = field(default_factory=list)
    length: int = 0

    def keep_samples(self, samples: torch.Tensor, *, rows: torch.Tensor) -> None:
        """Go on with these samples only (int64), and the rows that are theirs."""
        self.memory = self.memory.index_select(0, samples)
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
        self._first_norm = Norm(weights, f"{stack}.layernorm_embedding") if config["layernorm_embedding"] else None
        names = [f"{stack}.layers.{number}" for number in range(config["decoder_layers"])]
        self._layers = [_Layer.of(weights, name, heads=self._heads) for name in names]
        # left out of the file where it is the same as the input's
        self._output = Linear(weights.get("output_projection.weight", self._tokens), None)

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""
        return len(self._tokens)

    def start(self, memory: torch.Tensor) -> Cache:
        """Begin to read pictures. memory: floating [samples, cells, size], what the encoder made of them."""
        return Cache(memory=memory.to(self._tokens.dtype))

    def step(self, cache: Cache, tokens: torch.Tensor) -> torch.Tensor:
        """Append a token to every row. tokens: int64 [rows]; returns logits, float32 [rows, vocabulary]."""
        # in float32 also while training validates in another format: layers that are packed know no other
        with torch.autocast(tokens.device.type, enabled=False):
            hidden = functional.embedding(tokens, self._tokens)
            if self._scale != 1:
                hidden = hidden * self._scale
            hidden = hidden + self._positions[cache.length + POSITION_OFFSET]
            if self._first_norm is not None:
                hidden = self._first_norm(hidden)
            for number, layer in enumerate(self._layers):
                hidden = self._through(layer, hidden, cache, number)
            cache.length += 1
            return self._output(hidden)

    def _through(self, layer: _Layer, hidden: torch.Tensor, cache: Cache, number: int) -> torch.Tensor:
        """One layer: look at the tokens so far, then at the picture, then think."""
        rows = len(hidden)
        entry = layer.past(hidden).view(rows, 3, self._heads, -1)
        past = cache.place(number, entry[:, 1:])
        seen = functional.scaled_dot_product_attention(entry[:, 0, :, None], past[:, 0], past[:, 1])
        hidden = layer.past_norm(hidden + layer.past_out(seen.reshape(rows, -1)))
        hidden = layer.memory_norm(hidden + layer.memory_out(self._look(layer, layer.query(hidden), cache.memory)))
        return layer.last_norm(hidden + layer.narrow(self._activation(layer.widen(hidden))))

    def _look(self, layer: _Layer, query: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
        """Attention to the picture, heads side by side. query, result: [rows, size of the decoder].

        Keys and values of every cell would be larger than the picture, twice for each layer, and read in every step,
        which costs more than all arithmetic. So the query goes to the cells instead: (W m + b) q = m (W' q) + b q, of
        which the last is the same for all cells, and softmax does not see it; and values are made of the sum of cells.
        """
        samples, _, size = memory.shape
        rows = len(query)
        asked = torch.bmm(query.view(rows, self._heads, -1).transpose(0, 1), layer.keys)  # [heads, rows, size]
        asked = asked.transpose(0, 1).reshape(samples, -1, size)  # [samples, beams * heads, size]
        shares = torch.bmm(asked, memory.transpose(1, 2)).softmax(dim=-1)
        seen = torch.bmm(shares, memory).view(rows, self._heads, size).transpose(0, 1)
        return torch.bmm(seen, layer.values).transpose(0, 1).reshape(rows, -1)

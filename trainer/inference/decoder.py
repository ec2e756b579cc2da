"""TrOCR's decoder, one token at a time, with the keys and values of earlier tokens kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional

from latexify.common.errors import LatexifyError
from latexify.trainer.inference.layers import Linear, Norm, Weights
from latexify.trainer.inference.runtime import Floats, Ints

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


@dataclass(slots=True, kw_only=True)
class TorchCache:
    """State between steps, see `StepCache`. `length`: number of tokens so far."""

    encoded: torch.Tensor  # as the encoder left it, [samples, patches, size]; all rows of a sample share it
    keys_values: list[torch.Tensor] = field(default_factory=list)  # per layer [rows, 2, heads, capacity, head_size]
    length: int = 0

    def keep_samples(self, samples: Ints, *, rows: Ints) -> None:
        """Keep these samples only, and continue from these rows, which are theirs."""
        self.encoded = self.encoded.index_select(0, torch.from_numpy(samples).to(self.encoded.device))
        self.keep_rows(rows)

    def keep_rows(self, rows: Ints) -> None:
        """Continue from these rows, which may repeat, of the same samples as before."""
        indices = torch.from_numpy(rows).to(self.encoded.device)
        self.keys_values = [past[:, :, :, : self.length].index_select(0, indices) for past in self.keys_values]

    def append(self, layer: int, entry: torch.Tensor) -> torch.Tensor:
        """Store the keys and values of this step, [rows, 2, heads, head_size]; return those of all steps."""
        if layer == len(self.keys_values):
            self.keys_values.append(_grow(entry[:, :, :, None], FIRST_CAPACITY))
        elif self.keys_values[layer].shape[3] == self.length:
            self.keys_values[layer] = _grow(self.keys_values[layer], 2 * self.length)
        past = self.keys_values[layer]
        past[:, :, :, self.length] = entry
        return past[:, :, :, : self.length + 1]


def _grow(past: torch.Tensor, capacity: int) -> torch.Tensor:
    """Copy it into a tensor with room for `capacity` positions."""
    larger = past.new_empty(*past.shape[:3], capacity, past.shape[4])
    larger[:, :, :, : past.shape[3]] = past
    return larger


class _Layer:
    """One layer. float32 `_cross_keys` [heads, head_size, patch_size] are scaled; `_cross_values` are transposed."""

    def __init__(self, config: Mapping[str, Any], weights: Weights, name: str) -> None:
        self._heads = int(config["decoder_attention_heads"])
        self._activation = ACTIVATIONS[config["activation_function"]]
        own, cross = f"{name}.self_attn", f"{name}.encoder_attn"
        self._self_attn = Linear.load(weights, f"{own}.q_proj", f"{own}.k_proj", f"{own}.v_proj")
        self._self_attn_out = Linear.load(weights, f"{own}.out_proj")
        self._self_attn_norm = Norm(weights, f"{name}.self_attn_layer_norm")
        self._cross_query = Linear.load(weights, f"{cross}.q_proj")
        keys, values = (weights[f"{cross}.{kind}_proj.weight"] for kind in "kv")
        size = keys.shape[1]
        keys, values = keys.view(self._heads, -1, size), values.view(self._heads, -1, size)
        self._cross_keys = (keys * keys.shape[1] ** -0.5).contiguous()
        self._cross_values = values.transpose(1, 2).contiguous()
        # attention weights sum to one, so the bias of the values is added whole
        out = weights[f"{cross}.out_proj.weight"]
        self._cross_out = Linear(out, weights[f"{cross}.out_proj.bias"] + out @ weights[f"{cross}.v_proj.bias"])
        self._cross_norm = Norm(weights, f"{name}.encoder_attn_layer_norm")
        self._fc1, self._fc2 = Linear.load(weights, f"{name}.fc1"), Linear.load(weights, f"{name}.fc2")
        self._final_norm = Norm(weights, f"{name}.final_layer_norm")

    def __call__(self, hidden: torch.Tensor, cache: TorchCache, number: int) -> torch.Tensor:
        rows = len(hidden)
        entry = self._self_attn(hidden).view(rows, 3, self._heads, -1)
        past = cache.append(number, entry[:, 1:])
        attended = functional.scaled_dot_product_attention(entry[:, 0, :, None], past[:, 0], past[:, 1])
        hidden = self._self_attn_norm(hidden + self._self_attn_out(attended.reshape(rows, -1)))
        attended = self._cross_attend(self._cross_query(hidden), cache.encoded)
        hidden = self._cross_norm(hidden + self._cross_out(attended))
        return self._final_norm(hidden + self._fc2(self._activation(self._fc1(hidden))))

    def _cross_attend(self, query: torch.Tensor, encoded: torch.Tensor) -> torch.Tensor:
        """Attend to the picture with all heads at once. query, result: [rows, size of the decoder].

        Keys and values of every patch would be larger than the picture, twice for each layer, and would be read in
        every step, which costs more than all arithmetic. So the query is mapped to the patches instead:
        (W m + b) q = m (W' q) + b q. The last term is the same for all patches and cancels in the softmax, and values
        are computed from the weighted sum of patches.
        """
        samples, _, size = encoded.shape
        rows = len(query)
        mapped = torch.bmm(query.view(rows, self._heads, -1).transpose(0, 1), self._cross_keys)  # [heads, rows, size]
        mapped = mapped.transpose(0, 1).reshape(samples, -1, size)  # [samples, beams * heads, size]
        weights = torch.bmm(mapped, encoded.transpose(1, 2)).softmax(dim=-1)
        attended = torch.bmm(weights, encoded).view(rows, self._heads, size).transpose(0, 1)
        return torch.bmm(attended, self._cross_values).transpose(0, 1).reshape(rows, -1)


class StepDecoder:
    """TrOCR's decoder (transformers' `TrOCRForCausalLM`, learned positions), one token of each row at a time.

    Implements `TokenDecoder` by torch.
    """

    def __init__(self, config: Mapping[str, Any], weights: Weights) -> None:
        """Prepare float32 weights, by their names below `decoder.`. config: section `decoder` of a config.json.

        Raises LatexifyError if it is another kind of decoder.
        """
        if config["model_type"] != "trocr" or not config["use_learned_position_embeddings"]:
            raise LatexifyError(f"a decoder of type {config['model_type']} without learned positions cannot be read")
        if config["activation_function"] not in ACTIVATIONS:
            raise LatexifyError(f"a decoder with the activation {config['activation_function']} cannot be read")
        stack = "model.decoder"
        self.max_positions = int(config["max_position_embeddings"])
        self._tokens = weights[f"{stack}.embed_tokens.weight"]
        self._scale = float(config["d_model"]) ** 0.5 if config["scale_embedding"] else 1.0
        self._positions = weights[f"{stack}.embed_positions.weight"]
        self._first_norm = Norm(weights, f"{stack}.layernorm_embedding") if config["layernorm_embedding"] else None
        names = [f"{stack}.layers.{number}" for number in range(config["decoder_layers"])]
        self._layers = [_Layer(config, weights, name) for name in names]
        # missing in the file if it is the same as the input's
        self._output = Linear(weights.get("output_projection.weight", self._tokens), None)

    def start(self, encoded: torch.Tensor) -> TorchCache:
        """Begin a batch. encoded: floating [samples, patches, size], the output of the encoder."""
        return TorchCache(encoded=encoded.to(self._tokens.dtype))

    @torch.inference_mode()
    def step(self, cache: TorchCache, tokens: Ints) -> torch.Tensor:
        """Append a token to every row; return logits, float32 [rows, vocabulary]."""
        device = self._tokens.device
        # float32 also while training validates in another format: packed layers support no other
        with torch.autocast(device.type, enabled=False):
            hidden = functional.embedding(torch.from_numpy(tokens).to(device), self._tokens)
            if self._scale != 1:
                hidden = hidden * self._scale
            hidden = hidden + self._positions[cache.length + POSITION_OFFSET]
            if self._first_norm is not None:
                hidden = self._first_norm(hidden)
            for number, layer in enumerate(self._layers):
                hidden = layer(hidden, cache, number)
            cache.length += 1
            return self._output(hidden)

    def scorer(self, penalties: Floats | None) -> "TorchScorer":
        """Return a scorer. penalties: table of a constraint, float32 [cases, vocabulary]."""
        return TorchScorer(None if penalties is None else torch.from_numpy(penalties).to(self._tokens.device))


class TorchScorer:
    """Implements `Scorer` by torch, on the device of the logits."""

    def __init__(self, penalties: torch.Tensor | None) -> None:
        self._penalties = penalties

    @torch.inference_mode()
    def best_tokens(self, logits: torch.Tensor, cases: Sequence[int] | None) -> tuple[Ints, Floats, Ints]:
        """Return the most likely allowed token of each row, its log-probability, and the most likely token of all."""
        best, favourites = logits.max(dim=-1)
        tokens = favourites
        if cases is not None:
            best, tokens = (logits + self._rows(cases)).max(dim=-1)  # the penalty of what is allowed is 0
        log_probabilities = best - logits.logsumexp(dim=-1)
        return tokens.cpu().numpy(), log_probabilities.cpu().numpy(), favourites.cpu().numpy()

    @torch.inference_mode()
    def best_extensions(
        self, logits: torch.Tensor, cases: Sequence[int] | None, *, sums: Floats, count: int
    ) -> tuple[Floats, Ints]:
        """Return sums and indices of the `count` most likely extensions of the beams of each sample, best first."""
        scores = logits.log_softmax(dim=-1)
        if cases is not None:
            scores += self._rows(cases)
        before = torch.from_numpy(sums).to(logits.device)
        totals = (scores.view(*sums.shape, -1) + before[:, :, None]).flatten(1)
        best, choice = totals.topk(count, dim=1)
        return best.cpu().numpy(), choice.cpu().numpy()

    def _rows(self, cases: Sequence[int]) -> torch.Tensor:
        assert self._penalties is not None
        return self._penalties.index_select(0, torch.tensor(cases, device=self._penalties.device))

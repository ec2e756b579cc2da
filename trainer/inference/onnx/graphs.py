"""The two graphs of an exported model, as modules that torch can export: pictures to keys and values, and one step.

`encoder`: pixels, uint8 [batch, height, width], to `memory_key_N` [batch, heads, head_size, patches] and
`memory_value_N` [batch, heads, patches, head_size] of every layer N, which all steps attend to.

`decoder`: tokens, int64 [samples, beams], with these and with `past_key_N` and `past_value_N` [samples, beams, heads,
length, head_size] (length 0 at the first step), to `logits` [samples, beams, vocabulary] and `present_key_N` and
`present_value_N`, which are the past of the next step. To reorder beams, gather the past; beams of a sample share its
memory. All floats are float32.

Weights are the initializers, as they are stored. Everything that is computed from weights alone (casts, folded batch
norms, concatenations) is part of the graphs; onnxruntime computes it once, when it loads them.

The decoder's arithmetic is that of `latexify.trainer.inference.decoder`, in the form that is fast where nothing
compiles or reshapes it: attention's scale is in the weights, and keys of pictures are stored as they are multiplied.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from latexify.trainer.inference.decoder import ACTIVATIONS, POSITION_OFFSET
from latexify.trainer.inference.encoder import Encoder
from latexify.trainer.inference.layers import Linear, Norm, Weights
from latexify.trainer.model.pixels import grey_of

STACK = "model.decoder"
"""Where transformers keeps the layers, below `decoder.`."""

MakeEncoder = Callable[[Weights], Encoder]


class _StoredWeights(nn.Module):
    """Weights as buffers, whose names cannot contain dots."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        for name, weight in weights.items():
            self.register_buffer(name.replace(".", "/"), weight)

    def floats(self) -> dict[str, torch.Tensor]:
        """Return them in float32, by name."""
        return {name.replace("/", "."): weight.float() for name, weight in self.named_buffers()}


class EncoderGraph(nn.Module):
    """Pictures to the keys and values of every decoder layer."""

    def __init__(
        self,
        make_encoder: MakeEncoder,
        config: Mapping[str, Any],
        *,
        encoder_weights: Weights,
        decoder_weights: Weights,
    ) -> None:
        """Store what the graph needs.

        Args:
            make_encoder: Makes the encoder from its weights in float32.
            config: Section `decoder` of a model's config.json.
            encoder_weights: As they are stored, by their names below `encoder.`.
            decoder_weights: As they are stored, by their names below `decoder.`.
        """
        super().__init__()
        self._make_encoder = make_encoder
        self._heads = int(config["decoder_attention_heads"])
        self._names = [f"{STACK}.layers.{number}.encoder_attn" for number in range(config["decoder_layers"])]
        self.encoder = _StoredWeights(encoder_weights)
        self.decoder = _StoredWeights(decoder_weights)

    def forward(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """Return key and value of each layer in turn."""
        weights = self.decoder.floats()
        encoded = self._make_encoder(self.encoder.floats())(grey_of(pixels)[:, None])
        samples, patches = encoded.shape[:2]
        keys_values = []
        for name in self._names:
            key, value = (
                Linear.load(weights, f"{name}.{kind}_proj", packed=False)(encoded).view(
                    samples, patches, self._heads, -1
                )
                for kind in "kv"
            )
            keys_values += [key.permute(0, 2, 3, 1), value.transpose(1, 2)]
        return keys_values


class DecoderGraph(nn.Module):
    """One step of the decoder."""

    def __init__(self, config: Mapping[str, Any], weights: Weights) -> None:
        """Store weights as `EncoderGraph` does. config: section `decoder` of config.json; `StepDecoder` checks it."""
        super().__init__()
        self._config = config
        self.decoder = _StoredWeights(weights)

    def forward(
        self, tokens: torch.Tensor, memory: Sequence[torch.Tensor], past: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return logits and the present. memory, past: key and value of each layer in turn."""
        config, weights = self._config, self.decoder.floats()
        samples, beams = tokens.shape
        length = past[0].shape[3]
        table = weights[f"{STACK}.embed_tokens.weight"]
        scale = float(config["d_model"]) ** 0.5 if config["scale_embedding"] else 1.0
        positions = weights[f"{STACK}.embed_positions.weight"][POSITION_OFFSET:]
        hidden = functional.embedding(tokens.flatten(), table) * scale + positions[length]
        if config["layernorm_embedding"]:
            hidden = Norm(weights, f"{STACK}.layernorm_embedding")(hidden)
        present = []
        for number in range(config["decoder_layers"]):
            layer = _Layer(config, weights, f"{STACK}.layers.{number}")
            pair = slice(2 * number, 2 * number + 2)
            hidden, *entry = layer(hidden, memory[pair], past[pair])
            present += entry
        output = weights.get("output_projection.weight", table)  # missing if it is the same as the input's
        return functional.linear(hidden, output).view(samples, beams, -1), present


class _Layer:
    """Attend to the tokens so far, then to the picture, then the feed-forward network."""

    def __init__(self, config: Mapping[str, Any], weights: Weights, name: str) -> None:
        self._weights, self._name = weights, name
        self._heads = int(config["decoder_attention_heads"])
        self._activation = ACTIVATIONS[config["activation_function"]]

    def __call__(
        self, hidden: torch.Tensor, memory: Sequence[torch.Tensor], past: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """hidden: [samples * beams, size]; returns the new hidden state, and the present's key and value."""
        samples, beams = past[0].shape[:2]
        size = hidden.shape[1]
        scale = (size // self._heads) ** -0.5
        self_attn = self._linear("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", scales=(scale, 1.0, 1.0))
        entry = torch.split(self_attn(hidden), size, dim=-1)
        query, key, value = (part.view(samples, beams, self._heads, 1, -1) for part in entry)
        key, value = torch.cat([past[0], key], dim=3), torch.cat([past[1], value], dim=3)
        attended = ((query @ key.transpose(-1, -2)).softmax(dim=-1) @ value).reshape(-1, size)
        hidden = self._norm("self_attn_layer_norm", hidden + self._linear("self_attn.out_proj")(attended))
        query = self._linear("encoder_attn.q_proj", scales=(scale,))(hidden)
        query = query.view(samples, beams, self._heads, -1).transpose(1, 2)
        attended = ((query @ memory[0]).softmax(dim=-1) @ memory[1]).transpose(1, 2).reshape(-1, size)
        hidden = self._norm("encoder_attn_layer_norm", hidden + self._linear("encoder_attn.out_proj")(attended))
        output = self._linear("fc2")(self._activation(self._linear("fc1")(hidden)))
        return self._norm("final_layer_norm", hidden + output), key, value

    def _linear(self, *names: str, scales: Sequence[float] = ()) -> Linear:
        return Linear.load(self._weights, *(f"{self._name}.{name}" for name in names), scales=scales, packed=False)

    def _norm(self, name: str, hidden: torch.Tensor) -> torch.Tensor:
        return Norm(self._weights, f"{self._name}.{name}")(hidden)

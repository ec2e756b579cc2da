"""Small models with random weights, of every kind that `latexify.trainer.inference` supports."""

from pathlib import Path

import torch
from transformers import PretrainedConfig, VisionEncoderDecoderConfig, VisionEncoderDecoderModel
from transformers.models.swin import SwinConfig

from latexify.artifacts.manifest import Manifest
from latexify.trainer.inference.from_transformers import make_inference_model
from latexify.trainer.inference.search import Hypothesis
from latexify.trainer.model.architecture import decoder_config, encoder_config
from latexify.trainer.model.canvas import Geometry
from latexify.trainer.model.export import export_model
from latexify.trainer.model.model import LoadedModel, max_positions, model_input, set_special_ids
from latexify.trainer.model.presets import DecoderShape, HybridShape
from latexify.trainer.model.pretrained import load_base
from tests.support.trainer_data import GEOMETRY, HEIGHT_PX, WIDTH_PX, make_base, make_tokenizer, tokenizer_manifest
from tests.support.trocr_family import make_checkpoint

KINDS = ("hybrid", "vit", "small-handwritten", "large-stage1")
"""The preset for CPUs; ours with patches; DeiT with two special tokens; ReLU, scaled embeddings, no first norm."""

STIRRED = {"hybrid": (1.0, 1.2), "vit": (1.0, 0.7), "small-handwritten": (1.0, 1.0), "large-stage1": (0.5, -1.0)}
"""How far weights are moved, and a factor for the end token: such that each writes something varied, and some ends."""

MAX_TOKENS = 44
"""More than a cache has room for at first."""


def make_loaded(kind: str, scratch: Path, *, fingerprint: str = "") -> LoadedModel:
    """A model of one of `KINDS`, or `swin` or `projected`, that writes something varied."""
    tokenizer = make_tokenizer(scratch / "tokenizer")
    if kind in {"hybrid", "swin", "projected"}:
        torch.manual_seed(3)
        model = _assembled(kind, vocab_size=len(tokenizer))
    else:
        base = make_base(scratch / "base", tokenizer) if kind == "vit" else make_checkpoint(scratch / "base", kind)
        model = load_base(str(base), tokenizer=tokenizer, height_px=HEIGHT_PX, width_px=WIDTH_PX, dropout=0.0)
    set_special_ids(model, tokenizer)
    spread, end_factor = STIRRED.get(kind, (1.0, 1.0))
    _stir(model, spread=spread, end_factor=end_factor, end_id=tokenizer.eos_token_id)
    geometry = Geometry.from_params(GEOMETRY)
    return LoadedModel(model=model.eval(), tokenizer=tokenizer, geometry=geometry, fingerprint=fingerprint)


def export_folder(loaded: LoadedModel, folder: Path, *, dtype: torch.dtype = torch.float32) -> Path:
    """Write it as the train stage does."""
    inputs = {"tokenizer": tokenizer_manifest().fingerprint}
    manifest = Manifest(kind="model", version=1, params={}, inputs=inputs)
    export_model(loaded, folder, manifest=manifest, rows=[], dtype=dtype)
    return folder


def max_new_tokens(loaded: LoadedModel) -> int:
    """Return how many tokens the model may generate in tests; one position is the start token's."""
    return min(MAX_TOKENS, max_positions(loaded.model) - 1)


def generate_by_transformers(
    loaded: LoadedModel, pixels: torch.Tensor, *, num_beams: int
) -> tuple[list[list[int]], list[float]]:
    """Return ids without start, end and padding, `num_beams` for each picture, and the scores of a beam search."""
    output = loaded.model.generate(
        pixel_values=model_input(pixels, loaded.model),
        num_beams=num_beams,
        num_return_sequences=num_beams,
        do_sample=False,
        max_length=1 + max_new_tokens(loaded),
        return_dict_in_generate=True,
        output_scores=True,
    )
    end_id = loaded.tokenizer.eos_token_id
    rows = output.sequences[:, 1:].tolist()
    scores = output.sequences_scores.tolist() if num_beams > 1 else []
    return [row[: row.index(end_id)] if end_id in row else row for row in rows], scores


def best_of(
    loaded: LoadedModel, pixels: torch.Tensor, *, max_tokens: int, num_beams: int = 1, stop_loops: bool = True
) -> list[Hypothesis]:
    """Return the best hypothesis of each picture, uint8 [batch, height, width]."""
    found = make_inference_model(loaded).generate(
        pixels.numpy(), max_tokens=max_tokens, num_beams=num_beams, stop_loops=stop_loops
    )
    return [hypotheses[0] for hypotheses in found]


def random_pictures(count: int) -> torch.Tensor:
    """uint8 [count, height, width]."""
    generator = torch.Generator().manual_seed(5)
    shape = (count, HEIGHT_PX // 4, WIDTH_PX // 4)
    coarse = torch.randint(0, 2, shape, dtype=torch.uint8, generator=generator) * 255
    return coarse.repeat_interleave(4, dim=1).repeat_interleave(4, dim=2)


def _assembled(kind: str, *, vocab_size: int) -> VisionEncoderDecoderModel:
    encoder = _encoder(kind)
    shape = DecoderShape(size=24, layers=2, heads=2)
    decoder = decoder_config(shape, vocab_size=vocab_size, encoder_size=encoder.hidden_size, dropout=0.0)
    if kind == "projected":
        decoder.cross_attention_hidden_size = None  # a linear layer turns the encoder's size into the decoder's
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    return VisionEncoderDecoderModel(config=config)


def _encoder(kind: str) -> PretrainedConfig:
    if kind == "hybrid":
        shape = HybridShape(stem_channels=6, stage_channels=(8, 12), stage_depths=(2, 1), size=16, layers=2, heads=2)
        return encoder_config(shape, height_px=HEIGHT_PX, width_px=WIDTH_PX, dropout=0.0)
    return SwinConfig(
        image_size=[HEIGHT_PX, WIDTH_PX], patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=2
    )


@torch.no_grad()
def _stir(model: VisionEncoderDecoderModel, *, spread: float, end_factor: float, end_id: int) -> None:
    """Weights, biases and statistics away from where they begin, where many a mistake would not show."""
    generator = torch.Generator().manual_seed(7)
    for name, tensor in model.state_dict().items():
        if not tensor.is_floating_point():
            continue
        noise = torch.rand(tensor.shape, generator=generator)
        if name.endswith("running_var"):
            tensor.copy_(0.5 + noise)
        else:
            tensor.add_((noise - 0.5) * spread)
    model.decoder.get_output_embeddings().weight[end_id] *= end_factor

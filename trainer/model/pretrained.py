"""Trained weights to start from: a TrOCR from the hub or a folder, fitted to our canvas and vocabulary."""

import contextlib
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase, VisionEncoderDecoderModel
from transformers import VisionEncoderDecoderConfig as Config
from transformers.models.trocr.modeling_trocr import (
    TrOCRLearnedPositionalEmbedding,
    TrOCRSinusoidalPositionalEmbedding,
)
from transformers.utils import logging as transformers_logging

from latexify.artifacts.base_version import folder_version
from latexify.common.errors import LatexifyError, first_line
from latexify.common.package_data import resolve_base
from latexify.trainer.model.positions import extend_grid, pair, square_grid, stretched, unstretched

ROLE = "model.base"
"""What a base is called in errors."""
RESIZABLE_ENCODERS = ("vit", "deit")
"""Encoders whose positions are a grid of learned vectors that can be interpolated."""
DROPOUT_NAMES = ("dropout", "hidden_dropout_prob")
"""Names of the dropout of residual branches in configurations of decoders and encoders."""


def load_base(
    base: str, *, tokenizer: PreTrainedTokenizerBase, height_px: int, width_px: int, dropout: float
) -> VisionEncoderDecoderModel:
    """Load a folder or a model of the hub, fit positions to the canvas and token embeddings to `tokenizer`.

    The result is in float32, on the CPU. Raises LatexifyError if the base cannot be loaded, is not a
    VisionEncoderDecoderModel, lacks weights, or cannot take the canvas.
    """
    model = load_weights(base, dropout=dropout)
    store_positions(model)
    fit_canvas(model, base=base, height_px=height_px, width_px=width_px)
    fit_vocabulary(model, tokenizer, base_tokenizer=fetch(AutoTokenizer, base, "tokenizer"))
    return model


def load_weights(base: str, *, dropout: float, role: str = ROLE) -> VisionEncoderDecoderModel:
    """Load a model as it is, in float32 on the CPU; `role` is what errors call it. Raises LatexifyError."""
    config = fetch(AutoConfig, base, "configuration", role=role)
    if not isinstance(config, Config):
        raise LatexifyError(
            f"{role} `{base}` is not a VisionEncoderDecoderModel: "
            "name a TrOCR, such as microsoft/trocr-base-handwritten"
        )
    for part in (config.encoder, config.decoder):
        for name in DROPOUT_NAMES:
            if hasattr(part, name):
                setattr(part, name, dropout)
    model, loading = fetch(
        VisionEncoderDecoderModel,
        base,
        "weights",
        role=role,
        config=config,
        output_loading_info=True,
        dtype=torch.float32,
    )
    # the hub's TrOCR checkpoints lack weights of the pooler, which inference never uses
    missing = sorted(name for name in loading["missing_keys"] if ".pooler." not in name)
    if missing or loading["mismatched_keys"]:
        names = missing or sorted(str(key) for key in loading["mismatched_keys"])
        raise LatexifyError(f"{role} `{base}` lacks {len(names)} weights, such as {names[0]}: it is incomplete")
    assert isinstance(model, VisionEncoderDecoderModel)
    return model


def base_version(base: str, *, role: str = ROLE) -> str | None:
    """Return the version of `base`: a hash of the folder's files, or the commit on the hub; None for `scratch`."""
    if base == "scratch":
        return None
    config = fetch(AutoConfig, base, "configuration", role=role)
    folder = Path(resolve_base(base)).expanduser()
    if not folder.is_dir():
        return str(config._commit_hash)  # noqa: SLF001  # transformers has no public name for it
    return folder_version(folder)


@contextlib.contextmanager
def without_progress_bars() -> Iterator[None]:
    """Hide transformers' progress bars, which also appear in pipes. Use it for local files: it hides downloads, too."""
    was_enabled = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            transformers_logging.enable_progress_bar()


def fetch(auto_class: Any, base: str, what: str, *, role: str = ROLE, **options: object) -> Any:
    """Load one part of `base`; errors of transformers become one line, in which `role` is what `base` is for."""
    base = resolve_base(base)
    looks_local = base.startswith((".", "/", "~")) or Path(base).is_dir()
    folder = Path(base).expanduser()
    if looks_local and not folder.is_dir():
        raise LatexifyError(f"{role} `{base}` is not a folder: correct it, or use `scratch` or a name on the hub")
    try:
        with without_progress_bars() if looks_local else contextlib.nullcontext():
            return auto_class.from_pretrained(str(folder) if looks_local else base, **options)
    except (OSError, ValueError, KeyError, pickle.UnpicklingError, SafetensorError) as error:
        reason = first_line(error)
        fix = "correct the folder" if looks_local else "check the name and the network, or name a folder that holds it"
        raise LatexifyError(f"the {what} of {role} `{base}` cannot be loaded ({reason}): {fix}") from None


@torch.no_grad()
def store_positions(model: VisionEncoderDecoderModel) -> None:
    """Turn computed positions of the decoder (TrOCR small, large-printed, stage1) into weights of the same values.

    transformers 5 keeps the computed table in a plain attribute, which is empty after `from_pretrained` and does not
    move to a GPU with the model. Weights have neither problem, and the saved folder loads anywhere.
    """
    config, stack = model.config.decoder, model.decoder.model.decoder
    if config.use_learned_position_embeddings:
        return
    stored = TrOCRLearnedPositionalEmbedding(config.max_position_embeddings, config.d_model)
    # both count positions from 2, behind the padding's 1
    table = TrOCRSinusoidalPositionalEmbedding.get_embedding(stored.num_embeddings, config.d_model, config.pad_token_id)
    stored.weight.copy_(table)
    stack.embed_positions = stored
    config.use_learned_position_embeddings = True


def fit_canvas(model: VisionEncoderDecoderModel, *, base: str, height_px: int, width_px: int) -> None:
    """Interpolate the encoder's positions to another canvas, once.

    This stores as weights what transformers' `interpolate_pos_encoding=True` computes in every forward pass (bicubic,
    on the grid of patches). So the positions are trained at the resolution in use, the saved model needs no flag, and
    canvases need not be square.
    """
    config = model.config.encoder
    old_height, old_width = pair(config.image_size)
    if (old_height, old_width) == (height_px, width_px):
        return
    if config.model_type == "dpt" and config.is_hybrid:
        _extend_hybrid(model, base=base, height_px=height_px, width_px=width_px)
        return
    patch_height, patch_width = pair(config.patch_size)
    if config.model_type not in RESIZABLE_ENCODERS:
        raise LatexifyError(
            f"the encoder of model.base `{base}` ({config.model_type}) reads pictures of "
            f"{old_height}x{old_width} only: set rasterize.height_px and width_px to that"
        )
    if height_px % patch_height or width_px % patch_width:
        raise LatexifyError(
            f"the encoder of model.base `{base}` has patches of {patch_height}x{patch_width} pixels: make "
            f"rasterize.height_px and width_px multiples of them (found {height_px} and {width_px})"
        )
    embeddings = model.encoder.embeddings
    positions = embeddings.position_embeddings.detach()
    old_grid = (old_height // patch_height, old_width // patch_width)
    new_grid = (height_px // patch_height, width_px // patch_width)
    embeddings.position_embeddings = nn.Parameter(interpolate_positions(positions, old_grid, new_grid))
    config.image_size = [height_px, width_px]
    for part in (embeddings, embeddings.patch_embeddings):
        if hasattr(part, "image_size"):
            part.image_size = (height_px, width_px)
    embeddings.patch_embeddings.num_patches = new_grid[0] * new_grid[1]


@torch.no_grad()
def _extend_hybrid(model: VisionEncoderDecoderModel, *, base: str, height_px: int, width_px: int) -> None:
    """Give our own presets another canvas, see `extend_grid`.

    Inks are drawn in the middle of the canvas at a size that does not depend on it, unless they fill it.
    """
    config, embeddings = model.config.encoder, model.encoder.embeddings
    old_height_px, old_width_px = pair(config.image_size)
    cell = pair(config.patch_size)[0]
    old_rows, old_columns, rows, columns = (side // cell for side in (old_height_px, old_width_px, height_px, width_px))
    square = square_grid(rows, columns, width_px=width_px)
    is_odd = (rows - old_rows) % 2 or (columns - old_columns) % 2
    if height_px % cell or width_px % cell or is_odd or square is None:
        raise LatexifyError(
            f"the encoder of model.base `{base}` cannot take pictures of {height_px}x{width_px}: make "
            f"rasterize.height_px and width_px powers of two, or {old_height_px} and {old_width_px}"
        )
    side, cell_width = square
    positions = embeddings.position_embeddings.detach()
    old_side = round((positions.shape[1] - 1) ** 0.5)
    grid = unstretched(positions[0, 1:].unflatten(0, (old_side, old_side)), rows=old_rows, columns=old_columns)
    new = stretched(extend_grid(grid, rows=rows, columns=columns), side=side).flatten(0, 1)
    embeddings.position_embeddings = nn.Parameter(torch.cat([positions[:, :1], new[None]], dim=1))
    embeddings.image_size = config.image_size = [height_px, width_px]
    config.patch_size = [cell, cell_width]
    config.backbone_featmap_shape = [1, config.backbone_featmap_shape[1], rows, columns]


def interpolate_positions(
    positions: torch.Tensor, old_grid: tuple[int, int], new_grid: tuple[int, int]
) -> torch.Tensor:
    """Interpolate learned positions bicubically from one grid of rows and columns to another.

    positions: float32 [1, specials + rows * columns, size], row by row, as the result; class and distillation tokens
    come first and are kept.
    """
    num_special = positions.shape[1] - old_grid[0] * old_grid[1]
    grid = positions[:, num_special:].reshape(1, *old_grid, -1).permute(0, 3, 1, 2)
    grid = nn.functional.interpolate(grid, size=new_grid, mode="bicubic", align_corners=False)
    return torch.cat([positions[:, :num_special], grid.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)


@torch.no_grad()
def fit_vocabulary(
    model: VisionEncoderDecoderModel, tokenizer: PreTrainedTokenizerBase, *, base_tokenizer: PreTrainedTokenizerBase
) -> None:
    r"""Fit the decoder to a vocabulary: the vector of each token is the mean of the base's tokens that spell it.

    So `\frac` starts at the mean of the base's `\` and `frac`, and a token of both vocabularies keeps its vector.
    Special tokens take the vectors of their roles; tokens that the base cannot spell take the mean of all. Input and
    output vectors stay tied if they were. Nothing changes if `tokenizer` is the base's own.
    """
    if tokenizer.get_vocab() == base_tokenizer.get_vocab():
        return
    spelling = _spellings(tokenizer, base_tokenizer)
    decoder = model.decoder
    tied = decoder.get_output_embeddings().weight is decoder.get_input_embeddings().weight
    tables = [decoder.get_input_embeddings] if tied else [decoder.get_input_embeddings, decoder.get_output_embeddings]
    fitted = [_mean_rows(table().weight, spelling) for table in tables]
    decoder.resize_token_embeddings(len(spelling), mean_resizing=False)
    for table, rows in zip(tables, fitted, strict=True):
        table().weight.copy_(rows)
    decoder.get_input_embeddings().padding_idx = tokenizer.pad_token_id


def _spellings(tokenizer: PreTrainedTokenizerBase, base_tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Return for each id of `tokenizer` the base's ids that spell it; empty if the base cannot."""
    vocabulary = tokenizer.get_vocab()
    spelling: list[list[int]] = [[] for _ in range(max(vocabulary.values()) + 1)]
    # SentencePiece starts every text with a word boundary, often as a piece of its own that spells nothing
    silent = {base_tokenizer.unk_token_id, base_tokenizer.convert_tokens_to_ids("\N{LOWER ONE EIGHTH BLOCK}")}
    for token, token_id in vocabulary.items():
        pieces = base_tokenizer.encode(token, add_special_tokens=False)
        spelling[token_id] = [piece for piece in pieces if piece not in silent]
    for role in ("pad_token_id", "bos_token_id", "eos_token_id", "unk_token_id"):
        base_id = getattr(base_tokenizer, role)
        spelling[getattr(tokenizer, role)] = [] if base_id is None else [base_id]
    return spelling


def _mean_rows(weight: torch.Tensor, spelling: list[list[int]]) -> torch.Tensor:
    """Average the rows of `weight` that each spelling lists, or all rows: float32 [len(spelling), size]."""
    overall = weight.mean(dim=0)
    return torch.stack([weight[ids].mean(dim=0) if ids else overall for ids in spelling])

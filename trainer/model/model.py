"""Models: building one to train, loading a trained one, and its special ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from transformers import AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase, VisionEncoderDecoderModel

from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import MODEL
from latexify.common.errors import LatexifyError, first_line
from latexify.pipeline.grammar.allowances import Allowances, read_grammar
from latexify.trainer.config import ModelParams
from latexify.trainer.model.architecture import build
from latexify.trainer.model.canvas import Geometry, read_geometry
from latexify.trainer.model.pixels import grey_of
from latexify.trainer.model.pretrained import load_base, without_progress_bars
from latexify.trainer.model.sizes import take_smaller_pictures


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """All that inference needs."""

    model: VisionEncoderDecoderModel
    tokenizer: PreTrainedTokenizerBase
    geometry: Geometry
    fingerprint: str  # of the model's manifest
    allowances: Allowances | None = None  # what its labels need beyond the strict grammar; None: not known

    @property
    def height_px(self) -> int:
        """Height of the canvas."""
        return self.geometry.height_px

    @property
    def width_px(self) -> int:
        """Width of the canvas."""
        return self.geometry.width_px

    def texts(self, ids: Sequence[list[int]]) -> list[str]:
        """Decode each sequence of token ids to text, without special tokens."""
        options = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
        return [self.tokenizer.decode(sequence, **options) for sequence in ids]


def load_tokenizer(folder: Path, *, producer: str) -> PreTrainedTokenizerBase:
    """Load a tokenizer folder. Raises LatexifyError if it is not one, or lacks one of the four special tokens."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise LatexifyError(f"{folder} holds no tokenizer ({first_line(error)}): run `{producer}` again") from None
    for role in ("pad_token_id", "bos_token_id", "eos_token_id", "unk_token_id"):
        if getattr(tokenizer, role) is None:
            raise LatexifyError(f"the tokenizer in {folder} has no {role}: run `{producer}` again")
    return tokenizer


def make_model(  # noqa: PLR0913  # what a model depends on; all are named
    params: ModelParams,
    *,
    tokenizer: PreTrainedTokenizerBase,
    height_px: int,
    width_px: int,
    dropout: float,
    seed: int,
) -> VisionEncoderDecoderModel:
    """Make a model before training, in float32 on the CPU; equal seeds give equal weights.

    Raises LatexifyError if the base cannot be loaded, or does not fit the canvas.
    """
    torch.manual_seed(seed)
    if params.base == "scratch":
        vocab_size = int(max(tokenizer.get_vocab().values())) + 1  # may exceed the number of tokens
        model = build(params.preset, vocab_size=vocab_size, height_px=height_px, width_px=width_px, dropout=dropout)
    else:
        model = load_base(params.base, tokenizer=tokenizer, height_px=height_px, width_px=width_px, dropout=dropout)
    set_special_ids(model, tokenizer)
    return model


def set_special_ids(model: VisionEncoderDecoderModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Write the tokenizer's special ids into the configuration and into a new generation configuration.

    Decoding starts with the end id, as TrOCR was trained, not with the start id that its configuration class suggests.
    The generation settings of a base model (beams, a length of 20, n-grams that must not repeat) are dropped: nearly
    half of all formulas repeat a trigram.
    """
    ids = {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "decoder_start_token_id": tokenizer.eos_token_id,
    }
    for config in (model.config, model.config.decoder):
        for name, value in ids.items():
            setattr(config, name, value)
    model.generation_config = GenerationConfig(**ids, max_length=max_positions(model), num_beams=1, do_sample=False)


def max_positions(model: VisionEncoderDecoderModel) -> int:
    """Return the length of the longest sequence that the decoder has positions for, start token included."""
    return int(model.config.decoder.max_position_embeddings)


def has_batch_norm(model: nn.Module) -> bool:
    """Whether the model learns statistics of whole batches.

    Batches of labels of like length would then give it statistics that do not hold at inference: we measured the worst
    results for short formulas, whose strokes are drawn large.
    """
    return any(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def model_input(pixels: torch.Tensor, model: VisionEncoderDecoderModel) -> torch.Tensor:
    """Turn uint8 [batch, height, width], ink 0, paper 255, into the encoder's input, on the model's device.

    That is float32 [batch, channels, height, width], ink -1, paper +1, as TrOCR's image processor gives it (rescale by
    1/255, mean 0.5, standard deviation 0.5).
    """
    grey = grey_of(pixels.to(model.device, non_blocking=True))
    return grey[:, None].expand(-1, model.config.encoder.num_channels, -1, -1)


def load_model(folder: Path) -> LoadedModel:
    """Load a trained model in evaluation mode on the CPU. Raises LatexifyError if the folder is missing or damaged."""
    manifest = read_manifest(folder, MODEL)
    try:
        geometry = read_geometry(folder)
        with without_progress_bars():
            # also if the file holds float16, which is slow and imprecise on a CPU
            model = VisionEncoderDecoderModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    except (OSError, ValueError, KeyError) as error:
        raise LatexifyError(
            f"{folder} is not a complete model ({first_line(error)}): run `{MODEL.producer}` again"
        ) from None
    take_smaller_pictures(model, geometry)
    tokenizer = load_tokenizer(folder, producer=MODEL.producer)
    return LoadedModel(
        model=model.eval(),
        tokenizer=tokenizer,
        geometry=geometry,
        fingerprint=manifest.fingerprint,
        allowances=read_grammar(folder, producer=MODEL.producer),
    )

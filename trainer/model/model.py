"""A model ready to train, and a trained one ready to read: building, special ids, and the folder it is loaded from."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from transformers import AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase, VisionEncoderDecoderModel

from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import GEOMETRY_NAME, MODEL
from latexify.common.errors import LatexifyError
from latexify.trainer.config import ModelParams
from latexify.trainer.inference.reader import grey_of
from latexify.trainer.model import presets
from latexify.trainer.model.canvas import Geometry
from latexify.trainer.model.pretrained import load_base, no_bars


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """All that reading a picture takes. fingerprint: of the model's manifest."""

    model: VisionEncoderDecoderModel
    tokenizer: PreTrainedTokenizerBase
    geometry: Geometry
    fingerprint: str

    @property
    def height_px(self) -> int:
        """Height of the pictures that the model reads."""
        return self.geometry.height_px

    @property
    def width_px(self) -> int:
        """Width of the pictures that the model reads."""
        return self.geometry.width_px

    def texts(self, ids: Sequence[list[int]]) -> list[str]:
        """The text of each sequence of token ids, without special tokens."""
        return [
            self.tokenizer.decode(sequence, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            for sequence in ids
        ]


def load_tokenizer(folder: Path, *, producer: str) -> PreTrainedTokenizerBase:
    """Load a tokenizer folder. Raises LatexifyError where it is none, or lacks one of the four special tokens."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise LatexifyError(f"{folder} holds no tokenizer ({_first_line(error)}): run `{producer}` again") from None
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
    """A model for this canvas and this vocabulary, before training, in float32 on the CPU.

    The same `seed` gives the same weights. Raises LatexifyError where the base cannot be had or does not fit.
    """
    torch.manual_seed(seed)
    if params.base == "scratch":
        model = presets.build(
            params.preset,
            vocab_size=vocabulary_size(tokenizer),
            height_px=height_px,
            width_px=width_px,
            dropout=dropout,
        )
    else:
        model = load_base(params.base, tokenizer=tokenizer, height_px=height_px, width_px=width_px, dropout=dropout)
    set_special_ids(model, tokenizer)
    return model


def vocabulary_size(tokenizer: PreTrainedTokenizerBase) -> int:
    """Rows that an embedding needs: one more than the largest id, which may exceed the number of tokens."""
    return int(max(tokenizer.get_vocab().values())) + 1


def set_special_ids(model: VisionEncoderDecoderModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Write the tokenizer's ids into the configuration, and a generation configuration of them and a length only.

    Decoding starts with the end id, as TrOCR was trained, not with the start id that its configuration class suggests.
    What a base model brings for generation (beams, a length of 20, n-grams that must not repeat) is dropped: nearly
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
    """The longest sequence the decoder has positions for, start token included."""
    return int(model.config.decoder.max_position_embeddings)


def has_batch_norm(model: nn.Module) -> bool:
    """Whether what the model learns from a sample depends on the others of its batch.

    Batches of one length would then teach it statistics of that length, which it does not meet again when it reads:
    short formulas, whose strokes are drawn large, came out worst of all.
    """
    return any(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def model_input(pixels: torch.Tensor, model: VisionEncoderDecoderModel) -> torch.Tensor:
    """Turn grey pictures into what the encoder takes, on the model's device.

    pixels: uint8 [batch, height, width], ink 0, paper 255. Returns float32 [batch, channels, height, width], ink -1,
    paper +1, the same as TrOCR's image processor gives (rescale by 1/255, mean 0.5, standard deviation 0.5).
    """
    grey = grey_of(pixels.to(model.device, non_blocking=True))
    return grey[:, None].expand(-1, model.config.encoder.num_channels, -1, -1)


def load_model(folder: Path) -> LoadedModel:
    """Load a trained model from the folder that the train stage wrote, in evaluation mode on the CPU.

    Raises LatexifyError where the folder is missing, incomplete or damaged.
    """
    manifest = read_manifest(folder, MODEL)
    try:
        geometry = Geometry.from_params(json.loads((folder / GEOMETRY_NAME).read_text(encoding="utf-8")))
        with no_bars():
            # whatever the file holds, such as float16: it would be as slow as imprecise on a CPU
            model = VisionEncoderDecoderModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    except (OSError, ValueError, KeyError) as error:
        raise LatexifyError(
            f"{folder} holds no whole model ({_first_line(error)}): run `{MODEL.producer}` again"
        ) from None
    return LoadedModel(
        model=model.eval(),
        tokenizer=load_tokenizer(folder, producer=MODEL.producer),
        geometry=geometry,
        fingerprint=manifest.fingerprint,
    )


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(". ")

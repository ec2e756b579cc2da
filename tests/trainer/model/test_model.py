"""Models to train: their special ids."""

from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast, VisionEncoderDecoderModel

from latexify.trainer.model.model import set_special_ids

torch.set_num_threads(1)


def test_special_ids_are_those_of_the_tokenizer(model: VisionEncoderDecoderModel) -> None:
    """TrOCR starts with the end id; starting with `<s>` as its config class says costs accuracy silently."""
    for config in (model.config, model.config.decoder, model.generation_config):
        assert (config.decoder_start_token_id, config.pad_token_id, config.eos_token_id) == (2, 1, 2)
    assert model.generation_config.no_repeat_ngram_size is None  # the base folder said 3
    assert model.generation_config.max_length == 32


def test_special_ids_follow_another_tokenizer(
    model: VisionEncoderDecoderModel, base: tuple[Path, PreTrainedTokenizerFast]
) -> None:
    """Base tokenizers have other ids than ours; a wrong end id never ends."""
    _, tokenizer = base
    roles = {"bos_token": "x", "pad_token": "y", "eos_token": "2"}
    other = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, **roles)
    set_special_ids(model, other)
    assert model.generation_config.decoder_start_token_id == model.generation_config.eos_token_id == 6
    assert model.config.pad_token_id == 5

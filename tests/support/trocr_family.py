"""TrOCR checkpoints in miniature: classes, configuration fields and kind of tokenizer as published, sizes small.

The differences between the published ones are those of the conversion from their original code: `base` and
`large-handwritten` have learned positions, a norm after the embeddings and GELU; `large-printed` and the `stage1`
ones sinusoidal positions, scaled embeddings and ReLU; `small` has a DeiT encoder (a second special token) and XLM-R's
SentencePiece vocabulary.
"""

from pathlib import Path

import sentencepiece
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import (
    DeiTConfig,
    PretrainedConfig,
    PreTrainedTokenizerBase,
    RobertaTokenizer,
    TrOCRConfig,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    ViTConfig,
    ViTImageProcessor,
    XLMRobertaTokenizer,
)

KINDS = ("base-handwritten", "large-stage1", "small-handwritten")
ENCODER_SIZE, DECODER_SIZE, SIDE_PX, PATCH_PX = 48, 32, 64, 8
TEXTS = ["hello world 2 + 3", "frac sqrt sum x y z", "the quick brown fox", "alpha beta gamma"] * 30


def make_checkpoint(folder: Path, kind: str) -> Path:
    """Write a checkpoint of one of `KINDS` with random weights, as `model.base` can name it."""
    torch.manual_seed(0)
    small = kind.startswith("small")
    tokenizer = (xlm_roberta if small else roberta)(folder)
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        _encoder(deit=small), _decoder(kind, vocab_size=len(tokenizer))
    )
    config.tie_word_embeddings = False
    model = VisionEncoderDecoderModel(config=config)
    model.generation_config.max_length = 20
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_plain(folder: Path, kind: str = "base-handwritten") -> Path:
    """Write a checkpoint with random weights and its image processor, as the hub has it."""
    make_checkpoint(folder, kind)
    ViTImageProcessor(size={"height": SIDE_PX, "width": SIDE_PX}).save_pretrained(folder)
    return folder


def roberta(folder: Path) -> PreTrainedTokenizerBase:
    """Byte-level BPE, as RoBERTa has it."""
    folder.mkdir(parents=True, exist_ok=True)
    trained = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained.train_from_iterator(TEXTS, vocab_size=320, special_tokens=special)
    trained.save_model(str(folder))
    return RobertaTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))


def xlm_roberta(folder: Path) -> PreTrainedTokenizerBase:
    """A SentencePiece unigram vocabulary with XLM-R's special tokens around it."""
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "sentencepiece.bpe.model"
    with model.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(TEXTS),
            model_writer=file,
            vocab_size=60,
            model_type="unigram",
            hard_vocab_limit=False,
            minloglevel=2,
        )
    return XLMRobertaTokenizer.from_pretrained(folder)


def _encoder(*, deit: bool) -> PretrainedConfig:
    return (DeiTConfig if deit else ViTConfig)(
        image_size=SIDE_PX,
        patch_size=PATCH_PX,
        hidden_size=ENCODER_SIZE,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=2 * ENCODER_SIZE,
        qkv_bias=deit,
    )


def _decoder(kind: str, *, vocab_size: int) -> TrOCRConfig:
    learned = kind in {"base-handwritten", "large-handwritten"}
    return TrOCRConfig(
        vocab_size=vocab_size,
        d_model=DECODER_SIZE,
        cross_attention_hidden_size=ENCODER_SIZE,
        decoder_layers=2,
        decoder_attention_heads=2,
        decoder_ffn_dim=2 * DECODER_SIZE,
        activation_function="gelu" if learned else "relu",
        max_position_embeddings=48,
        scale_embedding=not learned,
        use_learned_position_embeddings=learned,
        layernorm_embedding=learned,
        tie_word_embeddings=learned,
    )

"""Small shards, tokenizers and models for the tests of the trainer: pictures of bars that a minute model can read."""

import hashlib
import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    TrOCRConfig,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    ViTConfig,
)

from shards.index import write_index
from shards.manifest import Manifest, write_manifest
from shards.sample import EncodedSample
from shards.writer import write_shard
from trainer.config import TrainParams
from trainer.positions import grid_sinusoids

HEIGHT_PX, WIDTH_PX, CELL_PX = 16, 64, 8
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
SYMBOLS = ["x", "y", "2", "+", "\\frac", "{", "}"]
GEOMETRY = {"height_px": HEIGHT_PX, "width_px": WIDTH_PX, "margin_px": 2.0, "pen_width_px": 1.5}


def make_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """A LaTeX tokenizer as the vocab stage writes it: a word for each symbol, special ids 0 to 3."""
    words = {word: number for number, word in enumerate([*SPECIAL, *SYMBOLS])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))  # noqa: S106  # no password
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = decoders.Fuse()
    fast = wrap(tokenizer)
    fast.save_pretrained(folder)
    write_manifest(folder, tokenizer_manifest())
    return fast


def tokenizer_manifest() -> Manifest:
    """The manifest of :func:`make_tokenizer`'s folder."""
    return Manifest(kind="tokenizer", version=1, params={}, inputs={})


def wrap(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """Name the special tokens."""
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def draw(symbols: list[int]) -> np.ndarray:
    """A picture with one cell column for each symbol, filled with a pattern of its own: uint8 [height, width]."""
    picture = np.full((HEIGHT_PX, WIDTH_PX), 255, dtype=np.uint8)
    for column, symbol in enumerate(symbols):
        pattern = np.random.default_rng(symbol).integers(0, 2, (HEIGHT_PX // 4, CELL_PX // 4), dtype=np.uint8)
        cell = np.kron(pattern * 255, np.ones((4, 4), dtype=np.uint8))
        picture[:, column * CELL_PX : (column + 1) * CELL_PX] = cell
    return picture


def make_sample(split: str, number: int) -> EncodedSample:
    """A random formula of 1 to 6 symbols."""
    digest = hashlib.sha256(f"{split}{number}".encode()).digest()
    symbols = [byte % len(SYMBOLS) for byte in digest[1 : 2 + digest[0] % 6]]
    buffer = io.BytesIO()
    Image.fromarray(draw(symbols)).save(buffer, "PNG")
    ids = np.array([len(SPECIAL) + symbol for symbol in symbols] + [2], dtype=np.int32)
    label = "".join(SYMBOLS[symbol] for symbol in symbols)
    return EncodedSample(
        key=f"{split}/{number:04d}", label=label, png=buffer.getvalue(), token_ids=ids, description={"label": label}
    )


def make_shards(folder: Path, *, num_train: int = 40, num_valid: int = 8, valid_is_train: bool = False) -> None:
    """Shards of two splits, two to a split, with the manifest that the rasterize stage writes."""
    folder.mkdir(parents=True, exist_ok=True)
    written, content = [], {}
    for split, count in (("train", num_train), ("valid", num_valid)):
        source = "train" if valid_is_train else split
        samples = [make_sample(source, number) for number in range(count)]
        half = (count + 1) // 2
        shards = [
            write_shard(folder, split=split, number=number, samples=part)
            for number, part in enumerate((samples[:half], samples[half:]))
            if part
        ]
        content[split] = {
            "num_samples": count,
            "shards": [
                {"name": s.name, "num_samples": s.num_samples, "num_bytes": s.num_bytes, "sha256": s.sha256}
                for s in shards
            ],
        }
        written += shards
        if valid_is_train:
            for shard in shards:
                shard.rows.validate()
    write_index(folder, [_unique(shard.rows, valid_is_train=valid_is_train) for shard in written])
    write_manifest(
        folder,
        Manifest(
            kind="shards",
            version=1,
            params={**GEOMETRY, "num_train": num_train, "valid_is_train": valid_is_train},
            inputs={"tokenizer": tokenizer_manifest().fingerprint},
            content={"splits": content},
        ),
    )

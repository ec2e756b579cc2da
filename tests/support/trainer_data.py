"""Small shards, tokenizers and models for the tests of the trainer: pictures of bars that a minute model can read."""

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    TrOCRConfig,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    ViTConfig,
)

from latexify.artifacts.files import write_parquet
from latexify.artifacts.manifest import Manifest, write_manifest
from latexify.artifacts.names import INDEX_NAME
from latexify.shards.format.index import index_schema
from latexify.shards.format.png import encode_png
from latexify.shards.format.sample import EncodedSample
from latexify.shards.format.writer import write_shard
from latexify.trainer.config import ModelParams, TrainParams
from latexify.trainer.data.collate import IGNORE_INDEX
from latexify.trainer.loop.history import CLOCK_COLUMNS
from latexify.trainer.model.positions import grid_sinusoids
from latexify.trainer.train import open_trainer, run

HEIGHT_PX, WIDTH_PX, CELL_PX = 16, 64, 8
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
SYMBOLS = ["x", "y", "2", "+", "\\frac", "{", "}"]
LENGTHS = [3, 40, 5, 2, 30, 7, 4, 12, 6, 25, 3, 9, 33, 2, 8, 5]
"""Of labels that are decoded in parts."""
GEOMETRY = {"height_px": HEIGHT_PX, "width_px": WIDTH_PX, "margin_px": 2.0, "pen_width_px": 1.5, "max_stroke_px": None}


def labels_of(lengths: Sequence[int]) -> torch.Tensor:
    """Labels of these lengths: int64 [batch, longest]."""
    labels = torch.full((len(lengths), max(lengths)), IGNORE_INDEX)
    for row, length in enumerate(lengths):
        labels[row, :length] = torch.arange(length) % 5 + 3
    return labels


def make_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """A LaTeX tokenizer as the vocab stage writes it: a word for each symbol, special ids 0 to 3."""
    words = {word: number for number, word in enumerate([*SPECIAL, *SYMBOLS])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
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
    roles = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **roles)


def draw(symbols: list[int]) -> np.ndarray:
    """A picture with one cell column for each symbol, filled with a pattern of its own: uint8 [height, width]."""
    picture = np.full((HEIGHT_PX, WIDTH_PX), 255, dtype=np.uint8)
    for column, symbol in enumerate(symbols):
        pattern = np.random.default_rng(symbol).integers(0, 2, (HEIGHT_PX // 4, CELL_PX // 4), dtype=np.uint8)
        cell = np.kron(pattern * 255, np.ones((4, 4), dtype=np.uint8))
        picture[:, column * CELL_PX : (column + 1) * CELL_PX] = cell
    return picture


def make_sample(split: str, number: int, *, content_of: str, dataset: str | None = None) -> EncodedSample:
    """A random formula of 1 to 6 symbols; `content_of` names the split that it is drawn for."""
    digest = hashlib.sha256(f"{content_of}{number}".encode()).digest()
    symbols = [byte % len(SYMBOLS) for byte in digest[1 : 2 + digest[0] % 6]]
    ids = np.array([len(SPECIAL) + symbol for symbol in symbols] + [2], dtype=np.int32)
    label = "".join(SYMBOLS[symbol] for symbol in symbols)
    return EncodedSample(
        key=f"{split}/{number:04d}",
        label=label,
        png=encode_png(draw(symbols)),
        token_ids=ids,
        description={"label": label, "writer": f"w{number % 3}"} | ({"dataset": dataset} if dataset else {}),
        dataset=dataset,
    )


def make_shards(
    folder: Path,
    *,
    num_train: int = 40,
    num_valid: int = 8,
    valid_is_train: bool = False,
    datasets: tuple[str, ...] = (),
) -> None:
    """Two splits in two shards each, and the manifest that the rasterize stage writes.

    The n-th sample is of dataset n modulo 4, or of the last.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows, content = [], {}
    for split, count in (("train", num_train), ("valid", num_valid)):
        content_of = "train" if valid_is_train else split
        names = [datasets[min(number % 4, len(datasets) - 1)] if datasets else None for number in range(count)]
        samples = [make_sample(split, number, content_of=content_of, dataset=name) for number, name in enumerate(names)]
        half = count // 2
        shards = [
            write_shard(
                folder, split=split, number=number, samples=part, schema=index_schema({}, with_datasets=bool(datasets))
            )
            for number, part in enumerate((samples[:half], samples[half:]))
        ]
        rows += [table for _, table in shards]
        facts = [{n: getattr(s, n) for n in ("name", "num_samples", "num_bytes", "sha256")} for s, _ in shards]
        content[split] = {"num_samples": count, "shards": facts}
    write_parquet(folder / INDEX_NAME, pa.concat_tables(rows))
    write_manifest(
        folder,
        Manifest(
            kind="shards",
            version=1,
            params={**GEOMETRY, "num_train": num_train, "valid_is_train": valid_is_train, "datasets": list(datasets)},
            inputs={"tokenizer": tokenizer_manifest().fingerprint},
            content={"splits": content, **({"datasets": list(datasets)} if datasets else {})},
        ),
    )


def make_base(
    folder: Path,
    tokenizer: PreTrainedTokenizerFast,
    *,
    size: int = 64,
    height_px: int = HEIGHT_PX,
    positions: int = 32,
) -> Path:
    """A TrOCR of one or two layers as a folder that `model.base` can name, with generation settings to get rid of."""
    torch.manual_seed(0)
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        ViTConfig(
            image_size=[height_px, WIDTH_PX],
            patch_size=CELL_PX,
            hidden_size=size,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=2 * size,
            initializer_range=0.05,
        ),
        TrOCRConfig(
            vocab_size=len(tokenizer),
            d_model=size,
            decoder_layers=1,
            decoder_attention_heads=2,
            decoder_ffn_dim=2 * size,
            max_position_embeddings=positions,
            init_std=0.07,
        ),
    )
    model = VisionEncoderDecoderModel(config=config)
    grid = grid_sinusoids(height_px // CELL_PX, WIDTH_PX // CELL_PX, size).flatten(0, 1)
    with torch.no_grad():
        model.encoder.embeddings.position_embeddings[0, 1:] = grid
    model.generation_config.no_repeat_ngram_size = 3
    model.generation_config.decoder_start_token_id = 0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def quick_params(**changes: object) -> TrainParams:
    """Parameters for a run of a second: 12 steps of two micro-batches, with checkpoints also in the middle of a row."""
    quick = TrainParams(
        max_steps=12,
        global_batch=8,
        micro_batch=5,
        warmup_steps=2,
        log_steps=2,
        validate_steps=6,
        validate_samples=6,
        checkpoint_steps=3,
        loader_workers=0,
        num_threads=1,
        dropout=0.1,
        freeze=[],
        precision="fp32",  # the same on every machine
    )
    return quick.model_copy(update=changes)


def make_training_data(folder: Path, **shards: Any) -> Path:
    """Shards (as `make_shards` takes them), their tokenizer and a base model, in folders of these names."""
    tokenizer = make_tokenizer(folder / "tokenizer")
    make_shards(folder / "shards", **shards)
    make_base(folder / "base", tokenizer)
    return folder


def stage_inputs(data: Path, place: Path, *, base: Path | str | None = None, **changes: Any) -> dict[str, Any]:
    """What `open_trainer` takes. data: a folder of :func:`make_training_data`. place: where runs go.

    base: None for the one in `data`. changes: of :func:`quick_params`, or of what is returned.
    """
    inputs = {
        "model": ModelParams(base=str(base or data / "base")),
        "seed": 1,
        "shards": data / "shards",
        "tokenizer": data / "tokenizer",
        "runs": place / "runs",
        "device": "cpu",
        "weights": None,
    }
    inputs |= {name: changes.pop(name) for name in inputs.keys() & changes.keys()}
    return {"params": quick_params(**changes), **inputs}


def train(data: Path, place: Path, **changes: Any) -> dict[str, Any]:
    """Run the stage into `place`, on what :func:`stage_inputs` takes; returns its metrics."""
    inputs = stage_inputs(data, place, **changes)
    with open_trainer(**inputs) as trainer:
        return run(trainer, out=place / "model", metrics=place / "metrics" / "train.json", curve=place / "history.csv")


def history(place: Path) -> list[dict[str, str]]:
    """The rows of the exported history, without what the clock says."""
    with (place / "model" / "history.csv").open() as file:
        return [{k: v for k, v in row.items() if k not in CLOCK_COLUMNS} for row in csv.DictReader(file)]

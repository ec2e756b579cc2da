"""Inputs that do not belong together are refused before training."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from latexify.artifacts.manifest import read_manifest, write_manifest
from latexify.artifacts.names import SHARDS
from latexify.common.errors import LatexifyError
from tests.support.trainer_data import (
    make_base,
    make_tokenizer,
    tokenizer_manifest,
    train,
)

torch.set_num_threads(1)


def test_shards_of_another_tokenizer_are_refused(training_data: Path, tmp_path: Path) -> None:
    """Ids of another vocabulary train without a complaint and mean nothing."""
    make_tokenizer(tmp_path / "tokenizer")
    write_manifest(tmp_path / "tokenizer", replace(tokenizer_manifest(), params={"min_count": 2}))
    with pytest.raises(LatexifyError, match=r"was made from another tokenizer .*: run `latexify rasterize` again"):
        train(training_data, tmp_path, tokenizer=tmp_path / "tokenizer")


def test_an_empty_split_is_refused(training_data: Path, tmp_path: Path) -> None:
    """Without validation inks no model is better than another; the reasons are in the rejects."""
    shutil.copytree(training_data / "shards", tmp_path / "shards")
    manifest = read_manifest(tmp_path / "shards", SHARDS)
    splits = manifest.content["splits"] | {"valid": {"num_samples": 0, "shards": []}}
    write_manifest(tmp_path / "shards", replace(manifest, content={"splits": splits}))
    with pytest.raises(LatexifyError, match=r"split 'valid' in .* is empty: see .*rejects.parquet"):
        train(training_data, tmp_path, shards=tmp_path / "shards")


def test_test_inks_alone_are_refused(training_data: Path, tmp_path: Path) -> None:
    """They are enough to evaluate a model, and one line says how."""
    shutil.copytree(training_data / "shards", tmp_path / "shards")
    manifest = read_manifest(tmp_path / "shards", SHARDS)
    splits = manifest.content["splits"] | {"train": {"num_samples": 0, "shards": []}}
    write_manifest(tmp_path / "shards", replace(manifest, content={"splits": splits}))
    with pytest.raises(LatexifyError, match=r"no training samples, .* \(predict\.model, or `latexify evaluate`\)"):
        train(training_data, tmp_path, shards=tmp_path / "shards")


def test_labels_longer_than_the_decoder_has_positions_are_refused(training_data: Path, tmp_path: Path) -> None:
    """Beyond its positions the decoder indexes into nothing, in the middle of the first epoch."""
    base = make_base(tmp_path / "base", make_tokenizer(tmp_path / "tokenizer"), positions=7)
    with pytest.raises(LatexifyError, match=r"has 7 tokens, but the model has 7 positions: set rasterize.max_tokens"):
        train(training_data, tmp_path, base=base)

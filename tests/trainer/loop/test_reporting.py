"""What a run logs and writes: samples left out, samples of a failed step, and TensorBoard."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from latexify.common.errors import LatexifyError
from latexify.shards.format.index import open_split
from tests.support.trainer_data import (
    history,
    train,
)

torch.set_num_threads(1)


@pytest.mark.parametrize("loader_workers", [0, 1])
def test_a_damaged_sample_is_one_line(training_data: Path, tmp_path: Path, loader_workers: int) -> None:
    """Raised in a loader process, the error would come with the traceback of that process in its text."""
    shutil.copytree(training_data / "shards", tmp_path / "shards")
    shutil.copytree(training_data / "tokenizer", tmp_path / "tokenizer")
    for shard in (tmp_path / "shards").glob("train-*.tar"):
        content = bytearray(shard.read_bytes())
        content[512:520] = b"no  PNG "  # the first member's data follows its header
        shard.write_bytes(content)
    with pytest.raises(LatexifyError, match=r"train-\d+\.tar: sample .* cannot be read") as caught:
        train(tmp_path, tmp_path, base=str(training_data / "base"), loader_workers=loader_workers)
    assert "\n" not in str(caught.value)


def test_damaged_samples_within_the_limit_are_left_out(
    training_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One bad sector must not end a training of days; and nobody may find out only afterwards, or not at all."""
    shutil.copytree(training_data / "shards", tmp_path / "shards")
    shutil.copytree(training_data / "tokenizer", tmp_path / "tokenizer")
    index = open_split(tmp_path / "shards", "train")
    for row in (3, 30):
        path = index.folder / index.shards[index.shard_ids[row]]
        content = bytearray(path.read_bytes())
        content[index.png_offset[row] + 60] ^= 1
        path.write_bytes(content)
    place = tmp_path / "a"
    summary = train(tmp_path, place, base=str(training_data / "base"), max_damaged_fraction=0.05)
    lines = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert len(lines) == summary["damaged_samples"] == 2  # in two epochs, each counted once
    assert all("of at most 2" in line and "CRC-32" in line for line in lines)
    assert {index.keys[row].as_py() for row in (3, 30)} == {line.split("sample ")[1].split()[0] for line in lines}
    with pytest.raises(LatexifyError, match=r"raise train.max_damaged_fraction: it allows 1 damaged of 40 .* number 2"):
        train(tmp_path, tmp_path / "b", base=str(training_data / "base"), max_damaged_fraction=0.049)
    resumed = train(
        tmp_path, tmp_path / "b", base=str(training_data / "base"), max_damaged_fraction=0.05, loader_workers=1
    )
    assert resumed == summary
    assert history(tmp_path / "b") == history(place)


def test_a_loss_that_is_not_finite_names_its_samples(training_data: Path, tmp_path: Path) -> None:
    """Whoever has a bad picture among 600,000 must find it."""
    with pytest.raises(LatexifyError, match=r"training failed at step \d+: .*failed-step") as caught:
        train(training_data, tmp_path, learning_rate=1e30, max_grad_norm=1e30, weight_decay=0.0, warmup_steps=0)
    report = json.loads(next(tmp_path.glob("runs/*/failed-step-*.json")).read_text())
    assert len(report["keys"]) == 8
    assert all(key.startswith("train/") for key in report["keys"])
    assert "keys of its batch" in str(caught.value)

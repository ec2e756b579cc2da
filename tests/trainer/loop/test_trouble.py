"""Trainings that cannot go on, or cannot begin: one clear line, and nothing lost."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from latexify.artifacts.manifest import read_manifest, write_manifest
from latexify.artifacts.names import SHARDS
from latexify.common.errors import LatexifyError
from latexify.shards.format.index import open_split
from latexify.trainer.data.batches import MicroBatch, open_loader
from latexify.trainer.data.slices import Position, RankShare
from latexify.trainer.loop import checkpoint
from latexify.trainer.loop.memory import naming_full_memory
from latexify.trainer.loop.step import Stepper, StepResult
from tests.support.trainer_data import (
    history,
    make_base,
    make_shards,
    make_tokenizer,
    quick_params,
    tokenizer_manifest,
    train,
)

torch.set_num_threads(1)


@pytest.mark.parametrize("loader_workers", [0, 1])
def test_a_damaged_sample_is_one_line(training_data: Path, tmp_path: Path, loader_workers: int):
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
):
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


def test_a_loss_that_is_not_finite_names_its_samples(training_data: Path, tmp_path: Path):
    """Whoever has a bad picture among 600,000 must find it."""
    with pytest.raises(LatexifyError, match=r"training failed at step \d+: .*failed-step") as caught:
        train(training_data, tmp_path, learning_rate=1e30, max_grad_norm=1e30, weight_decay=0.0, warmup_steps=0)
    report = json.loads(next(tmp_path.glob("runs/*/failed-step-*.json")).read_text())
    assert len(report["keys"]) == 8
    assert all(key.startswith("train/") for key in report["keys"])
    assert "keys of its batch" in str(caught.value)


def test_endless_overflows_in_fp16_end_the_run(training_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Skipping batches for ever looks like training; a loss scale of 1e-4 says that something is wrong with them."""
    step = Stepper.step

    def overflowing(self: Stepper, *rest: Any, **named: Any) -> StepResult:
        return replace(step(self, *rest, **named), applied=False)

    monkeypatch.setattr(Stepper, "step", overflowing)
    with pytest.raises(LatexifyError, match=r"31 steps in a row overflowed in fp16; the keys of its batch are in"):
        train(training_data, tmp_path)
    assert list(tmp_path.glob("runs/*/failed-step-00000000.json"))


def test_shards_of_another_tokenizer_are_refused(training_data: Path, tmp_path: Path):
    """Ids of another vocabulary train without a complaint and mean nothing."""
    make_tokenizer(tmp_path / "tokenizer")
    write_manifest(tmp_path / "tokenizer", replace(tokenizer_manifest(), params={"min_count": 2}))
    with pytest.raises(LatexifyError, match=r"was made from another tokenizer .*: run `latexify rasterize` again"):
        train(training_data, tmp_path, tokenizer=tmp_path / "tokenizer")


def test_an_empty_split_is_refused(training_data: Path, tmp_path: Path):
    """Without validation inks no model is better than another; the reasons are in the rejects."""
    shutil.copytree(training_data / "shards", tmp_path / "shards")
    manifest = read_manifest(tmp_path / "shards", SHARDS)
    splits = manifest.content["splits"] | {"valid": {"num_samples": 0, "shards": []}}
    write_manifest(tmp_path / "shards", replace(manifest, content={"splits": splits}))
    with pytest.raises(LatexifyError, match=r"split 'valid' in .* is empty: see .*rejects.parquet"):
        train(training_data, tmp_path, shards=tmp_path / "shards")


def test_labels_longer_than_the_decoder_has_positions_are_refused(training_data: Path, tmp_path: Path):
    """Beyond its positions the decoder indexes into nothing, in the middle of the first epoch."""
    base = make_base(tmp_path / "base", make_tokenizer(tmp_path / "tokenizer"), positions=7)
    with pytest.raises(LatexifyError, match=r"has 7 tokens, but the model has 7 positions: set rasterize.max_tokens"):
        train(training_data, tmp_path, base=base)


def test_more_ranks_than_samples_are_refused(tmp_path: Path):
    """A rank without samples would leave the others waiting for its gradients; torchrun's own words say nothing."""
    make_shards(tmp_path / "shards", num_train=3)
    index = open_split(tmp_path / "shards", "train")
    with pytest.raises(LatexifyError, match=r"4 ranks cannot share a global batch of 3 samples .*or start fewer ranks"):
        open_loader(
            index, quick_params(), seed=1, start=Position(), pin_memory=False, share=RankShare(rank=3, world_size=4)
        )


def test_a_run_folder_that_cannot_be_written_is_one_line(training_data: Path, tmp_path: Path):
    """Found out at once, and not when the first checkpoint is due."""
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(LatexifyError, match=r"runs/\w+ cannot be written \(.*\): checkpoints go there; mend"):
        train(training_data, tmp_path)


def test_a_full_disk_leaves_the_last_whole_checkpoint(
    training_data: Path, finished_run: tuple[Path, dict], tmp_path: Path
):
    """The command line tells a full disk by its number; what was saved before must be there to go on from."""
    saved: list[int] = []

    def fsync(_file: int) -> None:
        saved.append(1)
        if len(saved) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "os", SimpleNamespace(fsync=fsync))
        with pytest.raises(OSError, match="No space left") as caught:
            train(training_data, tmp_path)
    assert caught.value.errno == errno.ENOSPC
    assert [path.name for path in tmp_path.glob("runs/*/*.pt*")] == ["step-00000003.pt"]
    assert not list(tmp_path.glob("runs/*/.*"))
    assert train(training_data, tmp_path) == finished_run[1]


def no_memory_on_a_cpu() -> None:
    """Torch's own error."""
    torch.empty(1 << 50)


def no_memory_on_a_gpu() -> None:
    """As torch raises it."""
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.mark.parametrize("fail", [no_memory_on_a_cpu, no_memory_on_a_gpu])
def test_a_batch_that_does_not_fit_is_one_line(
    training_data: Path, finished_run: tuple[Path, dict], tmp_path: Path, fail: Callable[[], None]
):
    """The longest labels may come after hours: say what to make smaller, and keep what was trained."""
    backward = Stepper._backward

    def full(self: Stepper, micro: MicroBatch) -> torch.Tensor:
        if micro.slice.position.epoch == 1:
            fail()
        return backward(self, micro)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stepper, "_backward", full)
        with pytest.raises(
            LatexifyError, match=r"a micro-batch of 5 does not fit into the memory of cpu: set"
        ) as caught:
            train(training_data, tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.glob("runs/*/step-00000003.pt"))
    assert train(training_data, tmp_path) == finished_run[1]


def test_other_errors_of_torch_are_not_taken_for_it():
    """A defect of ours must show as one, with its traceback."""
    with pytest.raises(RuntimeError, match="shape"), naming_full_memory(quick_params(), device=torch.device("cpu")):
        torch.ones(2).view(3)

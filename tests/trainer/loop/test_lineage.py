"""Going on from another run: only with differences that are meant, and none that would mix two models."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from latexify.artifacts.manifest import write_manifest
from latexify.common.errors import LatexifyError
from latexify.trainer.loop.resume import check_continues, read_origin
from tests.support.trainer_data import make_base, make_shards, make_tokenizer, train

torch.set_num_threads(1)


@pytest.fixture
def origin(finished_run: tuple[Path, dict]) -> str:
    """The folder of the finished run."""
    return str(next((finished_run[0] / "runs").iterdir()))


def test_a_finished_run_can_be_made_longer(training_data: Path, origin: str, tmp_path: Path) -> None:
    """It still got better at its end: the steps that it has must not be paid for twice."""
    longer = {"max_steps": 18, "resume_from": origin, "resume_changes": ["max_steps"]}
    summary = train(training_data, tmp_path, **longer)
    assert summary["steps"] == 18
    assert summary["samples_seen"] == 18 * 8
    lines = (tmp_path / "model/history.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["step", *map(str, range(2, 20, 2))]
    again = train(training_data, tmp_path, **longer)  # its own checkpoints come first
    assert again == summary
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_every_difference_is_named_with_its_remedy(training_data: Path, origin: str, tmp_path: Path) -> None:
    """One difference at a time would take as many attempts; a silent one would make a model that nothing describes."""
    make_shards(tmp_path / "shards", num_train=48)
    make_base(tmp_path / "base", make_tokenizer(tmp_path / "tokenizer"), size=32)
    with pytest.raises(LatexifyError) as caught:
        train(
            training_data,
            tmp_path,
            shards=tmp_path / "shards",
            base=tmp_path / "base",
            resume_from=origin,
            resume_changes=["learning_rate", "global_batch"],
            learning_rate=0.5,
            max_steps=20,
            global_batch=4,
            dropout=0.0,
        )
    text = str(caught.value)
    for name in ("inputs.shards", "model.base_version", "train.max_steps", "train.global_batch", "train.dropout"):
        assert f"\n  {name}: " in text
    assert "train.learning_rate" not in text
    assert "add `max_steps` to train.resume_changes" in text
    assert "train.global_batch: cannot be accepted" in text


def test_a_folder_without_a_run_is_one_line(training_data: Path, tmp_path: Path) -> None:
    """A mistyped folder must not start from nothing."""
    with pytest.raises(LatexifyError, match=r"nowhere is missing or incomplete"):
        train(training_data, tmp_path, resume_from=str(tmp_path / "nowhere"))


def test_shards_of_another_canvas_are_named(finished_run: tuple[Path, dict], origin: str) -> None:
    """The weights would load, and read pictures that they were never shown."""
    there = read_origin(Path(origin))
    wider = there.params | {"geometry": there.params["geometry"] | {"width_px": 72}}
    here = replace(there, params=wider, inputs=there.inputs | {"shards": "0" * 16})
    with pytest.raises(LatexifyError) as caught:
        check_continues(there, here, folder=finished_run[0], accepted=["max_steps"])
    assert "geometry.width_px: 64 there, 72 here (set it back, or start from its model instead" in str(caught.value)
    assert "inputs.shards: " in str(caught.value)


def test_a_run_without_a_checkpoint_is_one_line(training_data: Path, origin: str, tmp_path: Path) -> None:
    """Broken off before its first checkpoint, or emptied to make room: there is nothing to go on from."""
    (tmp_path / "emptied").mkdir()
    write_manifest(tmp_path / "emptied", read_origin(Path(origin)))
    with pytest.raises(LatexifyError, match=r"emptied holds no checkpoint: correct train.resume_from, or remove it"):
        train(
            training_data,
            tmp_path,
            max_steps=14,
            resume_from=str(tmp_path / "emptied"),
            resume_changes=["max_steps"],
        )

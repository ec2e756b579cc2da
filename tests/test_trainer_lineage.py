"""Going on from another run: only with differences that are meant, and none that would mix two models."""

from pathlib import Path

import pytest
import torch
from trainer_data import make_base, make_shards, make_tokenizer, quick_params

from shards.errors import LatexifyError
from trainer.config import ModelParams
from trainer.train import run

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards, their tokenizer, a base model, and a finished run of twelve steps."""
    folder = tmp_path_factory.mktemp("data")
    tokenizer = make_tokenizer(folder / "tokenizer")
    make_shards(folder / "shards")
    make_base(folder / "base", tokenizer)
    train(folder, folder)
    return folder


def train(data: Path, place: Path, *, shards: Path | None = None, base: Path | None = None, **changes: object) -> dict:
    """Run the stage."""
    return run(
        quick_params(**changes),
        ModelParams(base=str(base or data / "base")),
        seed=1,
        shards=shards or data / "shards",
        tokenizer=data / "tokenizer",
        out=place / "model",
        runs=place / "runs",
        metrics=place / "train.json",
        device="cpu",
    )


@pytest.fixture(scope="module")
def origin(data: Path) -> str:
    """The folder of the finished run."""
    return str(next((data / "runs").iterdir()))


def test_a_finished_run_can_be_made_longer(data: Path, origin: str, tmp_path: Path) -> None:
    """It still got better at its end: the steps that it has must not be paid for twice."""
    longer = {"max_steps": 18, "resume_from": origin, "resume_changes": ["max_steps"]}
    summary = train(data, tmp_path, **longer)
    assert summary["steps"] == 18
    assert summary["samples_seen"] == 18 * 8
    lines = (tmp_path / "model/history.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["step", *map(str, range(2, 20, 2))]
    again = train(data, tmp_path, **longer)  # its own checkpoints come first
    assert again == summary
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_every_difference_is_named_with_its_remedy(data: Path, origin: str, tmp_path: Path) -> None:
    """One difference at a time would take as many attempts; a silent one would make a model that nothing describes."""
    make_shards(tmp_path / "shards", num_train=48)
    make_base(tmp_path / "base", make_tokenizer(tmp_path / "tokenizer"), size=32)
    with pytest.raises(LatexifyError) as caught:
        train(
            data,
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


def test_a_folder_without_a_run_is_one_line(data: Path, tmp_path: Path) -> None:
    """A mistyped folder must not start from nothing."""
    with pytest.raises(LatexifyError, match=r"nowhere is missing or incomplete"):
        train(data, tmp_path, resume_from=str(tmp_path / "nowhere"))

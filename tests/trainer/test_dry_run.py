"""A dry run says what a training will do."""

from pathlib import Path

import pytest
import torch

from latexify.common.errors import LatexifyError
from latexify.trainer.dry_run import dry_run
from latexify.trainer.train import open_trainer
from tests.support.trainer_data import make_training_data, stage_inputs, train

torch.set_num_threads(1)


def describe(data: Path, place: Path, *, num_steps: int) -> str:
    """Return what a dry run prints."""
    with open_trainer(**stage_inputs(data, place)) as trainer:
        return dry_run(trainer, num_steps=num_steps)


def test_a_dry_run_measures_and_writes_nothing(training_data: Path, tmp_path: Path) -> None:
    """It is run to learn the price before paying it; a checkpoint of it would be taken for a training."""
    before = sorted(tmp_path.rglob("*"))
    text = describe(training_data, tmp_path, num_steps=2)
    assert sorted(tmp_path.rglob("*")) == before
    said = {line.split("  ")[0]: line.split("  ", 1)[1].strip() for line in text.splitlines()}
    assert "from the beginning" in said["run"]
    assert said["steps"] == "12 of 12, 8 inks each: 2.4 epochs of 5 steps"
    assert "micro-batches of 5 on one process, fp32 on cpu" in said["a step"]
    assert "2 steps measured" in said["speed"]
    assert int(said["memory"].split()[0].replace(",", "")) > 100


def test_a_dry_run_knows_what_is_done_already(training_data: Path, tmp_path: Path) -> None:
    """Whoever resumes wants to know what is left, not what the whole would cost."""
    from latexify.trainer.loop.loop import Trainer

    original = Trainer._after_step

    def stop(self: Trainer, *rest: object, **named: object) -> None:
        original(self, *rest, **named)  # type: ignore[arg-type]
        if self.state.step == 6:
            raise LatexifyError("stopped")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_after_step", stop)
        with pytest.raises(LatexifyError, match="stopped"):
            train(training_data, tmp_path)
    assert "continues after step 6" in describe(training_data, tmp_path, num_steps=1)
    train(training_data, tmp_path)
    with pytest.raises(LatexifyError, match="is finished"):
        describe(training_data, tmp_path, num_steps=1)


def test_a_dry_run_names_the_datasets_and_their_weights(tmp_path: Path) -> None:
    """Whoever mixes wants to see how much of an epoch each dataset is before days of training."""
    data = make_training_data(tmp_path / "data", datasets=("crohme", "images"))
    with open_trainer(**stage_inputs(data, tmp_path, weights={"crohme": 2, "images": 0.5})) as trainer:
        text = dry_run(trainer, num_steps=1)
    assert "40 training inks (in an epoch crohme 10 x 2 + images 30 x 0.5), 8 for validation" in text
    assert "8 inks each: 3.0 epochs of 4 steps" in text

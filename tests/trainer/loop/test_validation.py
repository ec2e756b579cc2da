"""Validation during training searches as `predict` does, or says that it does not."""

from pathlib import Path
from typing import Any

import pytest
import torch

from latexify.artifacts.names import GRAMMAR_NAME
from latexify.pipeline.grammar.allowances import Allowances, read_grammar, write_grammar
from latexify.trainer.inference.constraint import Constraint
from latexify.trainer.inference.model import InferenceModel
from latexify.trainer.inference.well_formed import constraint_for
from latexify.trainer.loop.checkpoint import RunState
from latexify.trainer.loop.loop import Trainer
from tests.support.trainer_data import make_training_data, train

torch.set_num_threads(1)
LEARNT = Allowances(names=frozenset({"double scripts"}))


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, Constraint | None]]:
    """Beam width and constraint of each search."""
    found: list[tuple[int, Constraint | None]] = []
    generate = InferenceModel.generate

    def noted(self: InferenceModel, pixels: Any, *, num_beams: int = 1, constraint: Any = None, **others: Any) -> Any:
        found.append((num_beams, constraint))
        return generate(self, pixels, num_beams=num_beams, constraint=constraint, **others)

    monkeypatch.setattr(InferenceModel, "generate", noted)
    return found


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Training data whose tokenizer has a grammar."""
    folder = make_training_data(tmp_path / "data")
    write_grammar(folder / "tokenizer", LEARNT)
    return folder


def test_validation_keeps_to_the_constraint_of_predict(
    data: Path,
    tmp_path: Path,
    searches: list[tuple[int, Constraint | None]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A model that is chosen by answers that it will never give may be the wrong one."""
    train(data, tmp_path)
    assert read_grammar(tmp_path / "model") == LEARNT
    constraint = constraint_for(tmp_path / "model")
    assert constraint is not None
    assert searches
    for num_beams, used in searches:
        assert num_beams == 1
        assert used is not None
        assert (used.table == constraint.table).all()
    assert "validation is constrained greedy search, as `predict` by default" in capsys.readouterr().err


def test_a_tokenizer_of_an_earlier_version_has_the_strict_grammar(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It goes on working, and one line says what is missing."""
    (data / "tokenizer" / GRAMMAR_NAME).unlink()
    train(data, tmp_path)
    assert "by the strict grammar: run `latexify vocab` again" in capsys.readouterr().err
    assert not (tmp_path / "model" / GRAMMAR_NAME).exists()


def stop_after(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a training crash after this step."""
    train_batch = Trainer._train_batch

    def crash(self: Trainer, *arguments: Any) -> Any:
        if self.state.step == step:
            raise InterruptedError
        return train_batch(self, *arguments)

    monkeypatch.setattr(Trainer, "_train_batch", crash)


def test_a_run_that_resumes_keeps_its_constraint(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    searches: list[tuple[int, Constraint | None]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The best of a run is chosen by one measure, although `vocab` learnt another grammar meanwhile."""
    with monkeypatch.context() as patch:
        stop_after(8, patch)
        with pytest.raises(InterruptedError):
            train(data, tmp_path)
    before = searches[-1][1]
    assert before is not None
    write_grammar(data / "tokenizer", Allowances())
    searches.clear()
    train(data, tmp_path)
    assert searches
    assert all(used is not None and (used.table == before.table).all() for _, used in searches)
    assert "as when the run began; `predict` keeps to the grammar" in capsys.readouterr().err
    assert read_grammar(tmp_path / "model") == Allowances()


def test_a_run_of_an_earlier_version_goes_on_without_a_constraint(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    searches: list[tuple[int, Constraint | None]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its checkpoints say nothing of a grammar: their validations were unconstrained."""
    with monkeypatch.context() as patch:
        stop_after(8, patch)
        with pytest.raises(InterruptedError):
            train(data, tmp_path)
    from_dict = RunState.from_dict
    older = classmethod(lambda _, raw: from_dict({k: v for k, v in raw.items() if k != "allowances"}))
    monkeypatch.setattr(RunState, "from_dict", older)
    searches.clear()
    train(data, tmp_path)
    assert searches
    assert all(used is None for _, used in searches)
    assert "validation is unconstrained greedy search, as when the run began" in capsys.readouterr().err

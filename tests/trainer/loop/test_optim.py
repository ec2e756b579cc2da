"""The optimizer side of a step: what decays, the schedules, and the EMA."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import VisionEncoderDecoderModel

from latexify.common.errors import LatexifyError
from latexify.trainer.loop.optim import WeightEma, learning_rate, make_optimizer
from latexify.trainer.loop.validation import Validation, Validator
from latexify.trainer.model.architecture import build
from latexify.trainer.model.model import LoadedModel
from tests.support.trainer_data import quick_params, train

torch.set_num_threads(1)


def test_biases_norms_and_embeddings_do_not_decay(model: VisionEncoderDecoderModel) -> None:
    """Decay on them pulls rare tokens and norms to zero."""
    decayed, exempt = make_optimizer(model, quick_params(weight_decay=0.3)).param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert decayed["weight_decay"] == 0.3
    assert exempt["weight_decay"] == 0.0
    for name in (names[id(p)] for p in decayed["params"]):
        assert name.endswith("weight")
        assert "norm" not in name
        assert "embed_" not in name
    exempt_names = {names[id(p)] for p in exempt["params"]}
    assert "encoder.embeddings.position_embeddings" in exempt_names
    assert "decoder.model.decoder.embed_tokens.weight" in exempt_names
    assert len(decayed["params"]) + len(exempt["params"]) == len(list(model.parameters()))


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", {9: 10 / 11, 10: 1.0, 99: 1.0}),
        ("cosine", {0: 1 / 11, 10: 1.0, 55: 0.5, 99: 0.5 * (1 + math.cos(math.pi * 89 / 90))}),
        ("wsd", {10: 1.0, 79: 1.0, 80: 1.0, 90: 0.5, 99: 0.05}),
    ],
)
def test_schedules(schedule: str, expected: dict[int, float]) -> None:
    """The curve that was asked for, in optimizer steps."""
    params = quick_params(max_steps=100, warmup_steps=10, learning_rate=2.0, schedule=schedule)
    for step, share in expected.items():
        assert learning_rate(step, params) == pytest.approx(2 * share)


def test_an_average_follows_the_weights_with_its_decay() -> None:
    """A decay that is applied once too often, or to half the weights, makes a model that nobody trained."""
    model = build("tiny", vocab_size=20, height_px=32, width_px=64)
    averaging = WeightEma(model, decay=0.5)
    name = "decoder.model.decoder.embed_tokens.weight"
    expected = 0.0
    for step in range(6):
        with torch.no_grad():
            model.state_dict()[name].fill_(float(step))
        averaging.update()
        decay = min(0.5, (1 + step) / (10 + step))
        expected = float(step) if step == 0 else decay * expected + (1 - decay) * step
    averaged = averaging.model.state_dict()[name]
    torch.testing.assert_close(averaged, torch.full_like(averaged, expected))
    assert model.state_dict()[name].unique().tolist() == [5.0]


def test_the_average_is_exported_and_resumed(
    training_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights that were validated must be those that are exported, also after an interruption."""
    train(training_data, tmp_path / "whole", ema_decay=0.9)
    plain = train(training_data, tmp_path / "plain")
    seen: list[int] = []
    original = Validator.validate

    def stop_at_first(self: Validator, loaded: LoadedModel) -> Validation:
        seen.append(1)
        if len(seen) == 2:
            raise LatexifyError("interrupted")
        return original(self, loaded)

    with monkeypatch.context() as patch:
        patch.setattr(Validator, "validate", stop_at_first)
        with pytest.raises(LatexifyError, match="interrupted"):
            train(training_data, tmp_path / "resumed", ema_decay=0.9)
    train(training_data, tmp_path / "resumed", ema_decay=0.9)
    weights = {name: load_file(tmp_path / name / "model/model.safetensors") for name in ("whole", "resumed", "plain")}
    assert all(torch.equal(value, weights["resumed"][name]) for name, value in weights["whole"].items())
    assert any(not torch.equal(value, weights["plain"][name]) for name, value in weights["whole"].items())
    assert plain["steps"] == 12


def test_the_average_is_that_of_torch_bit_for_bit() -> None:
    """Torch's own `AveragedModel` makes a GPU wait twice a step for its count; the numbers must stay the same."""
    torch.manual_seed(1)
    model = build("tiny", vocab_size=20, height_px=32, width_px=64)

    def average(averaged: Any, current: Any, count: Any) -> None:
        decay = min(0.9, (1 + int(count)) / (10 + int(count)))
        if averaged[0].is_floating_point():
            get_ema_multi_avg_fn(decay)(averaged, current, count)  # type: ignore[no-untyped-call]
        else:
            for one, other in zip(averaged, current, strict=True):
                one.copy_(other)

    ours, theirs = WeightEma(model, decay=0.9), AveragedModel(model, multi_avg_fn=average, use_buffers=True)
    for _ in range(4):
        with torch.no_grad():
            for value in [*model.parameters(), *model.buffers()]:
                value.add_(torch.ones_like(value) if not value.is_floating_point() else torch.randn_like(value))
        ours.update()
        theirs.update_parameters(model)
    expected = theirs.state_dict()
    assert ours.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in ours.state_dict().items())

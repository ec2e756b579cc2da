"""What `auto` chose when a run began is what it means until the run is done, on whatever machine it goes on."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from latexify.common.errors import LatexifyError
from latexify.trainer.loop import memory
from latexify.trainer.loop.loop import Trainer
from latexify.trainer.loop.precision import Precision, fit_to_device
from latexify.trainer.loop.ranks import Ranks
from latexify.trainer.loop.resume import agree
from latexify.trainer.model.architecture import build
from tests.support.trainer_data import train

torch.set_num_threads(1)


def train_auto(data: Path, place: Path, **changes: object) -> dict:
    """Run the stage, with `auto` for the precision."""
    return train(data, place, **({"precision": "auto"} | changes))


def begin(data: Path, place: Path, **changes: object) -> None:
    """Run the stage until step 6, where it has a checkpoint, and break it off."""
    original = Trainer._after_step

    def stop(self: Trainer, *rest: object, **named: object) -> None:
        original(self, *rest, **named)  # type: ignore[arg-type]
        if self.state.step == 6:
            raise LatexifyError("broken off")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_after_step", stop)
        with pytest.raises(LatexifyError, match="broken off"):
            train_auto(data, place, **changes)


def pretend(patch: pytest.MonkeyPatch, *, bf16: bool) -> None:
    """Another processor."""
    patch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": bf16})


def test_a_run_begun_in_fp32_goes_on_in_it(
    training_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A faster spot machine must neither start the run anew nor train its second half in other numbers."""
    pretend(monkeypatch, bf16=False)
    train_auto(training_data, tmp_path / "whole")
    begin(training_data, tmp_path / "moved")
    pretend(monkeypatch, bf16=True)
    assert train_auto(training_data, tmp_path / "moved")["steps"] == 12
    names = [{path.name for path in (tmp_path / place / "runs").iterdir()} for place in ("whole", "moved")]
    assert names[0] == names[1]
    expected = load_file(tmp_path / "whole/model/model.safetensors")
    for name, value in load_file(tmp_path / "moved/model/model.safetensors").items():
        assert torch.equal(value, expected[name]), name


def test_a_run_in_bf16_goes_on_to_the_bit(training_data: Path, tmp_path: Path) -> None:
    """Resuming is exact in the precision that `auto` mostly is, too, and with the encoder of the presets."""
    for place in ("whole", "resumed"):
        if place == "resumed":
            begin(training_data, tmp_path / place, base="scratch", precision="bf16")
        train_auto(training_data, tmp_path / place, base="scratch", precision="bf16")
    expected = load_file(tmp_path / "whole/model/model.safetensors")
    for name, value in load_file(tmp_path / "resumed/model/model.safetensors").items():
        assert torch.equal(value, expected[name]), name


def test_a_run_begun_in_bf16_is_not_crawled_on_with(
    training_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Emulated it would take thirty times as long, and started anew in fp32 it would lose what it has: ask."""
    pretend(monkeypatch, bf16=True)
    begin(training_data, tmp_path)
    pretend(monkeypatch, bf16=False)
    with pytest.raises(LatexifyError, match=r"begun in bf16, which the cpu .*: go on where one does, or set") as caught:
        train_auto(training_data, tmp_path)
    assert "\n" not in str(caught.value)
    assert len(list((tmp_path / "runs").iterdir())) == 1
    assert train_auto(training_data, tmp_path, precision="bf16")["steps"] == 12  # what the line says
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_another_run_is_not_taken_for_it(training_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what `auto` chose may differ: with another rate it is another run, in this machine's precision."""
    pretend(monkeypatch, bf16=False)
    begin(training_data, tmp_path)
    (tmp_path / "runs/old").mkdir()
    (tmp_path / "runs/old/manifest.json").write_text("damaged")
    pretend(monkeypatch, bf16=True)
    train_auto(training_data, tmp_path, learning_rate=5e-4, max_steps=2)
    assert len(list((tmp_path / "runs").iterdir())) == 3


def test_a_micro_batch_is_kept_where_it_shapes_the_result(
    training_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Free memory is never the same twice: with batch norms every resume would else be a run of its own."""
    monkeypatch.setattr(memory, "fitting_batch", lambda *_, **__: 4)
    begin(training_data, tmp_path, base="scratch", micro_batch="auto")
    monkeypatch.setattr(memory, "fitting_batch", lambda *_, **__: 8)
    train_auto(training_data, tmp_path, base="scratch", micro_batch="auto")
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_ranks_on_unlike_machines_agree() -> None:
    """Ranks of two precisions would look for two runs, and wait for each other for ever."""

    class Unlike(Ranks):
        def gather(self, value: object) -> list[object]:
            return [value, "fp32" if value != "fp32" else "bf16"]

    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    for name in ("fp32", "bf16"):
        assert agree(Precision(name=name, device=cpu), ranks=Unlike()).name == "fp32"
    assert agree(Precision(name="bf16", device=cuda), ranks=Unlike()).name == "fp16"
    assert agree(Precision(name="bf16", device=cpu), ranks=Ranks()).name == "bf16"


@pytest.mark.parametrize(("name", "canvas_px", "expected"), [("bf16", 2048, "eager"), ("fp32", 2048, "sdpa")])
def test_the_faster_attention_is_not_exported(tmp_path: Path, name: str, canvas_px: int, expected: str) -> None:
    """It is right for bf16 on a small canvas and a CPU; the folder may be loaded anywhere."""
    model = build("tiny", vocab_size=20, height_px=32, width_px=64)
    fit_to_device(model, precision=Precision(name=name, device=torch.device("cpu")), canvas_px=canvas_px)
    assert model.encoder.config._attn_implementation == expected
    assert model.encoder.encoder.layer[0].attention.attention.config._attn_implementation == expected
    model.save_pretrained(tmp_path)
    assert "eager" not in (tmp_path / "config.json").read_text()

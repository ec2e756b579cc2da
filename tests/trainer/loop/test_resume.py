"""What a run continues: its own checkpoint with the choices of `auto`, or another run."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from latexify.artifacts.manifest import read_manifest, write_manifest
from latexify.artifacts.names import MODEL
from latexify.common.errors import LatexifyError
from latexify.common.renamed import RENAMED_PARAMS
from latexify.trainer.loop import memory
from latexify.trainer.loop.loop import Trainer
from latexify.trainer.loop.precision import Precision
from latexify.trainer.loop.ranks import Ranks
from latexify.trainer.loop.resume import check_continues, common_precision
from tests.support.trainer_data import make_base, make_shards, make_tokenizer, make_training_data, train

torch.set_num_threads(1)


def train_auto(data: Path, place: Path, **changes: Any) -> dict[str, Any]:
    """Run the stage, with `auto` for the precision."""
    return train(data, place, **({"precision": "auto"} | changes))


def begin(data: Path, place: Path, **changes: Any) -> None:
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
    with pytest.raises(
        LatexifyError, match=r"started in bf16, which the cpu .*: resume on a machine that does, or set"
    ) as caught:
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
        assert common_precision(Precision(name=name, device=cpu), ranks=Unlike()).name == "fp32"
    assert common_precision(Precision(name="bf16", device=cuda), ranks=Unlike()).name == "fp16"
    assert common_precision(Precision(name="bf16", device=cpu), ranks=Ranks()).name == "bf16"


@pytest.fixture
def origin(finished_run: tuple[Path, dict[str, Any]]) -> str:
    """The folder of the finished run."""
    return str(next((finished_run[0] / "runs").iterdir()))


def test_a_finished_run_can_be_made_longer(training_data: Path, origin: str, tmp_path: Path) -> None:
    """It still got better at its end: the steps that it has must not be paid for twice."""
    longer: dict[str, Any] = {"max_steps": 18, "resume_from": origin, "resume_changes": ["max_steps"]}
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


def test_shards_of_another_canvas_are_named(finished_run: tuple[Path, dict[str, Any]], origin: str) -> None:
    """The weights would load, and read pictures that they were never shown."""
    there = read_manifest(Path(origin), MODEL)
    wider = {**there.params, "geometry": {**there.params["geometry"], "width_px": 72}}
    here = replace(there, params=wider, inputs={**there.inputs, "shards": "0" * 16})
    with pytest.raises(LatexifyError) as caught:
        check_continues(there, here, folder=finished_run[0], accepted=["max_steps"])
    assert "geometry.width_px: 64 there, 72 here (set it back, or start from its model instead" in str(caught.value)
    assert "inputs.shards: " in str(caught.value)


def test_a_run_without_a_checkpoint_is_one_line(training_data: Path, origin: str, tmp_path: Path) -> None:
    """Broken off before its first checkpoint, or emptied to make room: there is nothing to go on from."""
    (tmp_path / "emptied").mkdir()
    write_manifest(tmp_path / "emptied", read_manifest(Path(origin), MODEL))
    with pytest.raises(LatexifyError, match=r"emptied holds no checkpoint .*: start from its model instead"):
        train(
            training_data,
            tmp_path,
            max_steps=14,
            resume_from=str(tmp_path / "emptied"),
            resume_changes=["max_steps"],
        )


def with_old_names(run: Path) -> Path:
    """Rewrite a run as latexify wrote it before parameters were renamed."""
    manifest = read_manifest(run, MODEL)
    old_names = {new.removeprefix("train."): old.removeprefix("train.") for old, new in RENAMED_PARAMS.items()}
    values = {old_names.get(name, name): value for name, value in manifest.params["train"].items()}
    values["schedule"] = {"wsd": "linear-end"}.get(values["schedule"], values["schedule"])
    old = replace(manifest, params={**manifest.params, "train": values})
    folder = run.rename(run.with_name(old.fingerprint))
    write_manifest(folder, old)
    return folder


def test_a_run_under_old_parameter_names_continues(
    training_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An update in the middle of a training must not start it anew, nor change what `auto` meant."""
    pretend(monkeypatch, bf16=False)
    train_auto(training_data, tmp_path / "whole", schedule="wsd")
    begin(training_data, tmp_path / "old", schedule="wsd")
    run = with_old_names(next((tmp_path / "old/runs").iterdir()))
    pretend(monkeypatch, bf16=True)
    assert train_auto(training_data, tmp_path / "old", schedule="wsd")["samples_seen"] == 12 * 8
    assert f"continuing {run} after step 6" in capsys.readouterr().err
    expected = load_file(tmp_path / "whole/model/model.safetensors")
    for name, value in load_file(tmp_path / "old/model/model.safetensors").items():
        assert torch.equal(value, expected[name]), name
    another = train_auto(training_data, tmp_path / "old", schedule="constant", max_steps=2)
    assert another["samples_seen"] == 2 * 8  # another run does not continue it


def test_a_run_under_old_parameter_names_can_be_resumed_from(training_data: Path, origin: str, tmp_path: Path) -> None:
    """Only differences in values count, and an old name among the changes is answered with the new one."""
    shutil.copytree(origin, tmp_path / "runs/copied")
    run = with_old_names(tmp_path / "runs/copied")
    with pytest.raises(LatexifyError) as caught:
        train(training_data, tmp_path, max_steps=14, resume_from=str(run), resume_changes=["clip_norm"])
    assert "train.clip_norm: is now called train.max_grad_norm; use that name" in str(caught.value)
    assert "2 obstacle(s)" in str(caught.value)  # the other is max_steps
    longer: dict[str, Any] = {"max_steps": 14, "resume_from": str(run), "resume_changes": ["max_steps"]}
    assert train(training_data, tmp_path, **longer)["samples_seen"] == 14 * 8


def test_a_run_on_a_mixture_goes_on_to_the_bit(tmp_path: Path) -> None:
    """Stopping in the middle of an epoch of several datasets must not change which samples follow."""
    data = make_training_data(tmp_path / "data", datasets=("crohme", "images"))
    mixed = {"weights": {"crohme": 0.7, "images": 1.3}, "augment_strength": 0.5, "backward_fraction": 0.3}
    for place in ("whole", "resumed"):
        if place == "resumed":
            begin(data, tmp_path / place, **mixed)
        train_auto(data, tmp_path / place, **mixed)
    expected = load_file(tmp_path / "whole/model/model.safetensors")
    for name, value in load_file(tmp_path / "resumed/model/model.safetensors").items():
        assert torch.equal(value, expected[name]), name


def test_other_weights_are_another_run(tmp_path: Path) -> None:
    """A run that changed its weights half-way would give a model that no parameters describe."""
    data = make_training_data(tmp_path / "data", datasets=("crohme", "images"))
    short = {"max_steps": 2, "warmup_steps": 0}
    train(data, tmp_path, weights={"crohme": 1, "images": 1}, **short)
    [first] = (tmp_path / "runs").iterdir()
    train(data, tmp_path, weights={"crohme": 1, "images": 2}, **short)
    assert len(list((tmp_path / "runs").iterdir())) == 2
    with pytest.raises(LatexifyError, match=r"datasets\.images: 1\.0 there, 3\.0 here \(set it back, or start"):
        train(data, tmp_path, weights={"crohme": 1, "images": 3}, resume_from=str(first), **short)

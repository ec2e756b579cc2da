"""The train stage as a user runs it: to the end, interrupted, resumed, exported."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from trainer_data import GEOMETRY, draw, make_base, make_shards, make_tokenizer, quick_params

from shards.errors import LatexifyError
from shards.index import open_split
from shards.manifest import read_manifest
from shards.plan import plan_epoch
from shards.reader import SampleReader
from trainer.config import ModelParams
from trainer.decoding import generate_ids
from trainer.history import CLOCK_COLUMNS, COLUMNS
from trainer.loop import Trainer
from trainer.model import LoadedModel, load_model, model_input
from trainer.step import Stepper, StepResult
from trainer.train import run
from trainer.validation import Validation, Validator

torch.set_num_threads(1)
REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory):
    """Shards, their tokenizer, and a base model to start from."""
    folder = tmp_path_factory.mktemp("data")
    tokenizer = make_tokenizer(folder / "tokenizer")
    make_shards(folder / "shards")
    make_base(folder / "base", tokenizer)
    return folder


def _run(data: Path, place: Path, *, base: str | None = None, **changes: object) -> dict:
    return run(
        quick_params(**changes),
        ModelParams(base=base or str(data / "base")),
        seed=1,
        shards=data / "shards",
        tokenizer=data / "tokenizer",
        out=place / "model",
        runs=place / "runs",
        metrics=place / "metrics" / "train.json",
        device="cpu",
    )


def _history(place: Path, *, name: str = "model/history.csv") -> list[dict]:
    with (place / name).open() as file:
        return [{k: v for k, v in row.items() if k not in CLOCK_COLUMNS} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory):
    """A run that nothing interrupted."""
    place = tmp_path_factory.mktemp("finished")
    summary = _run(data, place)
    return place, summary


def test_a_run_leaves_what_the_next_stages_and_people_need(data: Path, finished: tuple[Path, dict]):
    """The judge needs the model, DVC the metrics, people the curve."""
    place, summary = finished
    assert json.loads((place / "metrics/train.json").read_text()) == summary
    assert summary["steps"] == 12
    assert summary["samples_seen"] == 12 * 8
    assert summary["best_step"] in {6, 12}
    assert 0 < summary["valid_cer"] < 2  # twelve steps teach little
    rows = _history(place)
    assert [int(row["step"]) for row in rows] == [2, 4, 6, 8, 10, 12]
    assert [row["valid_cer"] != "" for row in rows] == [False, False, True, False, False, True]
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    assert [int(row["epoch"]) for row in rows] == [0, 0, 1, 1, 2, 2]
    assert (place / "model/history.csv").read_text().splitlines()[0] == ",".join(COLUMNS)
    manifest = read_manifest(place / "model", "model", made_by="")
    assert manifest.inputs["shards"] == read_manifest(data / "shards", "shards", made_by="").fingerprint
    assert [path.name for path in (place / "runs").iterdir()] == [manifest.fingerprint]


class _InterruptedError(Exception):
    pass


@pytest.mark.parametrize("stop_after", [5, 8])
def test_an_interrupted_run_ends_as_if_it_had_not_been(
    data: Path, finished: tuple[Path, dict], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_after: int
):
    """A preempted machine must cost time only: the same weights to the bit, the same curve, no row twice or missing.

    The interruption is a crash, without a checkpoint of its own, in the middle of an epoch and of a row.
    """
    place, summary = finished
    train_batch = Trainer._train_batch

    def crash(self: Trainer, *arguments: object) -> object:
        if self.state.step == stop_after:
            raise _InterruptedError
        return train_batch(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_train_batch", crash)
        with pytest.raises(_InterruptedError):
            _run(data, tmp_path)
    # what does not shape the result may change on the way
    assert _run(data, tmp_path, loader_workers=1, checkpoint_minutes=1e-9) == summary
    assert len(list((tmp_path / "runs").iterdir())) == 1
    assert _history(tmp_path) == _history(place)
    expected = load_file(place / "model/model.safetensors")
    for name, value in load_file(tmp_path / "model/model.safetensors").items():
        assert torch.equal(value, expected[name]), name
    last = "step-00000012.pt"
    for key in ("model", "optimizer"):
        one, other = (torch.load(next(p.glob(f"runs/*/{last}")), weights_only=True)[key] for p in (place, tmp_path))
        _assert_equal(one, other)


def _assert_equal(one: object, other: object) -> None:
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            _assert_equal(one[key], other[key])
    elif isinstance(one, list):
        for left, right in zip(one, other, strict=True):
            _assert_equal(left, right)
    else:
        assert one == other


def test_a_finished_run_is_only_exported_again(
    data: Path, finished: tuple[Path, dict], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """`dvc repro` deletes the model folder first; it must not cost the training a second time."""
    place, summary = finished
    monkeypatch.setattr(Trainer, "_train_batch", None)
    assert (
        run(
            quick_params(),
            ModelParams(base=str(data / "base")),
            seed=1,
            shards=data / "shards",
            tokenizer=data / "tokenizer",
            out=tmp_path / "again",
            runs=place / "runs",
            metrics=tmp_path / "train.json",
            device="cpu",
        )
        == summary
    )
    assert (tmp_path / "again/history.csv").read_bytes() == (place / "model/history.csv").read_bytes()


def test_only_the_latest_checkpoints_and_reachable_bests_are_kept(finished: tuple[Path, dict]):
    """Checkpoints of a real model are gigabytes: a full disk ends the run."""
    place, summary = finished
    names = {path.name for path in place.glob("runs/*/*.pt")}
    assert {name for name in names if name.startswith("step")} == {"step-00000009.pt", "step-00000012.pt"}
    assert f"best-{summary['best_step']:08d}.pt" in names
    assert not list(place.glob("runs/*/.*"))


def test_the_best_model_is_exported_not_the_last(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A run that got worse at its end must not lose its best model."""
    scores = iter([Validation(loss=1.0, cer=0.2, examples=[]), Validation(loss=0.5, cer=0.3, examples=[])])
    seen = []

    def validate(_self: Validator, loaded: LoadedModel) -> Validation:
        seen.append({name: value.clone() for name, value in loaded.model.state_dict().items()})
        return next(scores)

    monkeypatch.setattr(Validator, "validate", validate)
    assert _run(data, tmp_path)["best_step"] == 6
    exported = load_model(tmp_path / "model").model.state_dict()
    name = "decoder.model.decoder.embed_tokens.weight"
    assert torch.equal(exported[name], seen[0][name])
    assert not torch.equal(exported[name], seen[1][name])


def test_a_skipped_step_is_not_counted(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Overflows of fp16 must not shorten the training or move the schedule, and the next batch must be another one."""
    step, rates, positions = Stepper.step, [], []

    def overflowing(self: Stepper, micro_batches: object, *, learning_rate: float) -> StepResult:
        result = step(self, micro_batches, learning_rate=learning_rate)
        rates.append(learning_rate)
        positions.append(micro_batches[0].slice.position)
        return replace(result, applied=len(rates) not in {2, 3}, grad_norm=1.0)

    monkeypatch.setattr(Stepper, "step", overflowing)
    summary = _run(data, tmp_path)
    assert summary["steps"] == 12
    assert summary["samples_seen"] == 14 * 8
    assert rates[1] == rates[2] == rates[3] != rates[0]
    assert len(set(positions)) == 14
    assert [int(row["step"]) for row in _history(tmp_path)] == [2, 4, 6, 8, 10, 12]


def test_another_parameter_is_another_run(
    data: Path, finished: tuple[Path, dict], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Resuming a run with other settings mixes two experiments into one curve."""
    place, _ = finished
    monkeypatch.setattr(Trainer, "train", lambda self: (_ for _ in ()).throw(_InterruptedError(self.state.step)))
    for changes in ({"learning_rate": 0.5}, {"precision": "bf16"}):
        with pytest.raises(_InterruptedError, match=r"^0$"):
            run(
                quick_params(**changes),
                ModelParams(base=str(data / "base")),
                seed=1,
                shards=data / "shards",
                tokenizer=data / "tokenizer",
                out=tmp_path / "model",
                runs=place / "runs",
                metrics=tmp_path / "train.json",
                device="cpu",
            )


def test_a_damaged_checkpoint_is_named(data: Path, tmp_path: Path):
    """Silently starting over would throw days of training away."""
    _run(data, tmp_path, max_steps=4, warmup_steps=0)
    latest = next(tmp_path.glob("runs/*/step-00000004.pt"))
    latest.write_bytes(latest.read_bytes()[:1000])
    with pytest.raises(LatexifyError, match=r"step-00000004\.pt cannot be read .* remove it"):
        _run(data, tmp_path, max_steps=4, warmup_steps=0)


def test_sigterm_writes_a_checkpoint_and_says_so(data: Path, tmp_path: Path):
    """Preemption: what was learnt since the last checkpoint is kept, and the user is told how to go on.

    Schedulers signal the whole process group, the loader processes included.
    """
    code = (
        "import sys; sys.path[:0] = ['tests']\n"
        "from pathlib import Path; from test_trainer_run import _run; from shards.errors import LatexifyError\n"
        "try: _run(Path(sys.argv[1]), Path(sys.argv[2]), max_steps=100000, checkpoint_steps=99999, loader_workers=1)\n"
        "except LatexifyError as error: print(error); sys.exit(1)\n"
    )
    command = [sys.executable, "-c", code, str(data), str(tmp_path)]
    process = subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, env=_environment(), start_new_session=True
    )
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("runs/*/history.csv")) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1
    assert "stopped by SIGTERM after step" in output
    assert "run the same command to go on" in output
    step = int(output.split("after step ")[1].split()[0])
    assert list(tmp_path.glob(f"runs/*/step-{step:08d}.pt"))


@pytest.mark.parametrize("loader_workers", [0, 1])
def test_a_damaged_sample_is_one_line(data: Path, tmp_path: Path, loader_workers: int):
    """Raised in a loader process, the error would come with the traceback of that process in its text."""
    shutil.copytree(data / "shards", tmp_path / "shards")
    shutil.copytree(data / "tokenizer", tmp_path / "tokenizer")
    for shard in (tmp_path / "shards").glob("train-*.tar"):
        content = bytearray(shard.read_bytes())
        content[512:520] = b"no  PNG "  # the first member's data follows its header
        shard.write_bytes(content)
    with pytest.raises(LatexifyError, match=r"train-\d+\.tar: sample .* cannot be read") as caught:
        _run(tmp_path, tmp_path, base=str(data / "base"), loader_workers=loader_workers)
    assert "\n" not in str(caught.value)


def test_damaged_samples_within_the_limit_are_left_out(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """One bad sector must not end a training of days; and nobody may find out only afterwards, or not at all."""
    shutil.copytree(data / "shards", tmp_path / "shards")
    shutil.copytree(data / "tokenizer", tmp_path / "tokenizer")
    index = open_split(tmp_path / "shards", "train")
    for row in (3, 30):
        path = index.folder / index.shards[index.shard_ids[row]]
        content = bytearray(path.read_bytes())
        content[index.png_offset[row] + 60] ^= 1
        path.write_bytes(content)
    place = tmp_path / "a"
    summary = _run(tmp_path, place, base=str(data / "base"), max_damaged_rate=0.05)
    lines = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert len(lines) == summary["damaged_samples"] == 2  # in two epochs, each counted once
    assert all("of at most 2" in line and "CRC-32" in line for line in lines)
    assert {index.keys[row].as_py() for row in (3, 30)} == {line.split("sample ")[1].split()[0] for line in lines}
    with pytest.raises(LatexifyError, match=r"raise train.max_damaged_rate: it allows 1 damaged of 40 .* number 2"):
        _run(tmp_path, tmp_path / "b", base=str(data / "base"), max_damaged_rate=0.049)
    resumed = _run(tmp_path, tmp_path / "b", base=str(data / "base"), max_damaged_rate=0.05, loader_workers=1)
    assert resumed == summary
    assert _history(tmp_path / "b") == _history(place)


def test_padding_is_said_before_training(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Whoever trains should know that much of the time goes into padding while it can still be changed."""
    summary = _run(data, tmp_path, max_steps=1, warmup_steps=0)
    assert f"{summary['padding_waste']:.1%} of the label slots are padding" in capsys.readouterr().err
    assert 0 < summary["padding_waste"] < 0.5


def test_a_loss_that_is_not_finite_names_its_samples(data: Path, tmp_path: Path):
    """Whoever has a bad picture among 600,000 must find it."""
    with pytest.raises(LatexifyError, match=r"training failed at step \d+: .*failed-step") as caught:
        _run(data, tmp_path, learning_rate=1e30, clip_norm=1e30, weight_decay=0.0, warmup_steps=0)
    report = json.loads(next(tmp_path.glob("runs/*/failed-step-*.json")).read_text())
    assert len(report["keys"]) == 8
    assert all(key.startswith("train/") for key in report["keys"])
    assert "keys of its batch" in str(caught.value)


def test_a_tiny_model_learns_sixteen_samples_by_heart(tmp_path: Path):
    """A recogniser whose labels, ids, shift, loss or decoding are off by one can not."""
    tokenizer = make_tokenizer(tmp_path / "tokenizer")
    make_shards(tmp_path / "shards", num_train=16, num_valid=16, valid_is_train=True)
    make_base(tmp_path / "base", tokenizer, size=96)
    summary = _run(
        tmp_path,
        tmp_path,
        max_steps=160,
        global_batch=16,
        micro_batch=16,
        learning_rate=3e-3,
        validate_steps=160,
        validate_samples=16,
        warmup_steps=10,
        dropout=0.0,
    )
    assert summary["valid_cer"] == 0.0
    loaded = load_model(tmp_path / "model")
    index = open_split(tmp_path / "shards", "train")
    samples = SampleReader(index).read(range(16))
    pixels = torch.from_numpy(np.stack([sample.pixels for sample in samples]))
    for beams in (1, 3):
        decoded = generate_ids(loaded, pixels, num_beams=beams, max_new_tokens=20)
        assert loaded.texts(decoded.ids) == [sample.label for sample in samples]
        assert decoded.ids == [sample.token_ids[:-1].tolist() for sample in samples]
        assert decoded.finished.all()
        assert (decoded.confidence > 0.5).all()
        assert (decoded.confidence <= 1).all()
    cut = generate_ids(loaded, pixels, num_beams=1, max_new_tokens=1)
    assert all(len(ids) <= 1 for ids in cut.ids)
    assert not cut.finished.any()


def test_confidence_is_the_geometric_mean_of_token_probabilities(data: Path, finished: tuple[Path, dict]):
    """A confidence that means something else for greedy than for beams cannot be compared."""
    place, _ = finished
    loaded = load_model(place / "model")
    sample = SampleReader(open_split(data / "shards", "valid")).read([0])[0]
    pixels = torch.from_numpy(sample.pixels)[None]
    decoded = generate_ids(loaded, pixels, num_beams=1, max_new_tokens=8)
    ids = torch.tensor([2, *decoded.ids[0], *([2] if decoded.finished[0] else [])])
    with torch.no_grad():
        logits = loaded.model(pixel_values=model_input(pixels, loaded.model), decoder_input_ids=ids[None, :-1]).logits
    chosen = logits[0].log_softmax(-1)[range(len(ids) - 1), ids[1:]]
    assert decoded.confidence[0] == pytest.approx(chosen.mean().exp().item(), rel=1e-4)


def test_the_folder_loads_elsewhere_without_this_project(finished: tuple[Path, dict], tmp_path: Path):
    """The result is a plain Hugging Face folder: people serve it with nothing of ours installed."""
    place, _ = finished
    picture = tmp_path / "ink.png"
    Image.fromarray(draw([0, 1, 4])).save(picture)
    code = (
        "import json, sys\n"
        "import numpy as np\n"
        "from PIL import Image\n"
        "from transformers import AutoImageProcessor, AutoTokenizer, VisionEncoderDecoderModel\n"
        "model = VisionEncoderDecoderModel.from_pretrained(sys.argv[1])\n"
        "tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])\n"
        "processor = AutoImageProcessor.from_pretrained(sys.argv[1])\n"
        "pixels = processor(Image.open('ink.png').convert('RGB'), return_tensors='pt').pixel_values\n"
        "np.save('pixels.npy', pixels.numpy())\n"
        "ids = model.generate(pixels)[0]\n"
        "assert 'trainer' not in sys.modules\n"
        "print(json.dumps([ids.tolist(), tokenizer.decode(ids, skip_special_tokens=True)]))\n"
    )
    command = [sys.executable, "-c", code, str(place / "model")]
    environment = {key: value for key, value in _environment().items() if key != "PYTHONPATH"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    ids, text = json.loads(done.stdout)
    loaded = load_model(place / "model")
    pixels = torch.from_numpy(draw([0, 1, 4]))[None]
    assert torch.equal(torch.from_numpy(np.load(tmp_path / "pixels.npy")), model_input(pixels, loaded.model))
    decoded = generate_ids(loaded, pixels, num_beams=1, max_new_tokens=1000)
    assert ids[0] == 2
    assert [i for i in ids[1:] if i != 2] == decoded.ids[0]
    assert text == loaded.texts(decoded.ids)[0]
    assert loaded.geometry.to_dict() == GEOMETRY


@pytest.mark.parametrize("batch_norm", [True, False])
def test_batches_are_mixed_for_batch_norm_only(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, batch_norm: bool
):
    """The one place where the model decides on the order of the data."""
    asked = []
    monkeypatch.setattr("trainer.loop.has_batch_norm", lambda _model: batch_norm)
    monkeypatch.setattr(
        "trainer.slices.plan_epoch",
        lambda *rest, **named: asked.append(named["by_length"]) or plan_epoch(*rest, **named),
    )
    _run(data, tmp_path, max_steps=2, warmup_steps=0, loader_workers=0)
    assert asked
    assert set(asked) == {not batch_norm}


def test_shards_of_another_tokenizer_are_refused(data: Path, tmp_path: Path):
    """Ids of another vocabulary train without a complaint and mean nothing."""
    other = tmp_path / "tokenizer"
    make_tokenizer(other)
    manifest = json.loads((other / "manifest.json").read_text())
    (other / "manifest.json").unlink()
    from shards.manifest import Manifest, write_manifest

    del manifest["fingerprint"]
    write_manifest(other, Manifest(**{**manifest, "params": {"min_count": 2}}))
    with pytest.raises(LatexifyError, match="was made from another tokenizer"):
        run(
            quick_params(),
            ModelParams(base=str(data / "base")),
            seed=1,
            shards=data / "shards",
            tokenizer=other,
            out=tmp_path / "model",
            runs=tmp_path / "runs",
            metrics=tmp_path / "train.json",
            device="cpu",
        )


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}

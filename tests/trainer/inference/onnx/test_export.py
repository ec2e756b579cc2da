"""Models as ONNX: onnxruntime reads what torch reads, from a folder without weights."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from latexify.common.errors import LatexifyError
from latexify.serve.http.worker import Settings, _load
from latexify.serve.recognizer import Recognizer
from latexify.trainer.inference.model import InferenceModel
from latexify.trainer.inference.onnx import export as onnx_export
from latexify.trainer.inference.onnx.export import export_onnx
from latexify.trainer.inference.onnx.runtime import OnnxDecoder
from latexify.trainer.inference.open import open_model
from latexify.trainer.model.model import LoadedModel
from tests.support.handwriting import encoded, ink, inkml
from tests.support.reading_models import MAX_TOKENS, export_folder, make_loaded, random_pictures

OTHERS = ("small-handwritten", "projected")
"""As TrOCR's own: DeiT, ReLU, no first norm. And what only transformers reads: Swin, and a linear layer between."""


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small one of the shape of the presets for CPUs, with batch norms."""
    scratch = tmp_path_factory.mktemp("hybrid")
    return export_folder(make_loaded("hybrid", scratch), scratch / "model")


@pytest.fixture(scope="module")
def exported(model: Path, repository: Path) -> Path:
    """It, exported by the command."""
    out = model.parent / "onnx"
    done = latexify("export-onnx", "--model", model, "--out", out, repository=repository)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("equal to torch")
    assert "decoder.onnx" in done.stdout
    return out


def latexify(*arguments: str | Path, repository: Path) -> subprocess.CompletedProcess[str]:
    """Run a command."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "latexify", *map(str, arguments)]
    return subprocess.run(command, cwd=repository, capture_output=True, check=False, env=environment, text=True)


def require_alike(found: InferenceModel, expected: InferenceModel) -> None:
    """Both read the same, alone and together, greedily and with beams, for longer than a cache has room at first."""
    pixels = random_pictures(7)
    num_tokens = 0
    for batch in (pixels[:1], pixels):
        for num_beams in (1, 3):
            theirs, ours = (
                model.generate(
                    batch.numpy(), max_tokens=MAX_TOKENS, num_beams=num_beams, num_best=num_beams, stop_loops=False
                )
                for model in (expected, found)
            )
            assert [[best.ids for best in each] for each in ours] == [[best.ids for best in each] for each in theirs]
            assert [best.confidence for each in ours for best in each] == pytest.approx(
                [best.confidence for each in theirs for best in each], abs=1e-4
            )
            num_tokens = max(num_tokens, *(len(each[0].ids) for each in ours))
    assert num_tokens > 32 or num_tokens >= expected.decoder.max_positions - 2


def test_onnxruntime_reads_what_torch_reads(model: Path, exported: Path) -> None:
    """An export that is nearly right reads nearly right, and nobody knows why the figures fell."""
    require_alike(open_model(exported).inference, open_model(model).inference)


@pytest.mark.parametrize("kind", OTHERS)
def test_every_kind_of_model_can_be_exported(kind: str, tmp_path: Path) -> None:
    """Fine-tuned checkpoints of TrOCR, and whatever else transformers reads, as well as our own presets."""
    loaded: LoadedModel = make_loaded(kind, tmp_path)
    assert hasattr(loaded.model, "enc_to_dec_proj") == (kind == "projected")
    folder = export_folder(loaded, tmp_path / "model")
    done = export_onnx(folder, out=tmp_path / "onnx")
    assert done.comparison.num_tokens > 100
    require_alike(open_model(tmp_path / "onnx").inference, open_model(folder).inference)


def test_a_folder_of_graphs_reads_files_without_torch_weights(
    model: Path, exported: Path, tmp_path: Path, repository: Path
) -> None:
    """What goes onto another machine: an ink and a scan, read from the folder that the command wrote."""
    assert not list(exported.glob("*.safetensors"))
    (tmp_path / "a.inkml").write_bytes(inkml())
    (tmp_path / "b.png").write_bytes(encoded(255 - 255 * ink()))
    done = latexify(
        "recognize", "--model", exported, "--runtime", "onnx", "--beams", 2, "--json", tmp_path, repository=repository
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    recognizer = Recognizer(model, device="cpu", runtime="torch")
    pictures = [recognizer.picture_of((tmp_path / name).read_bytes()) for name in ("a.inkml", "b.png")]
    for ours, theirs in zip(found, recognizer.read(pictures, num_beams=2), strict=True):
        assert ours["latex"] == theirs.latex
        assert ours["confidence"] == pytest.approx(theirs.confidence, abs=1e-3)


def test_weights_and_graphs_may_share_a_folder(model: Path, exported: Path, tmp_path: Path, repository: Path) -> None:
    """As one publishes them; torch then reads unless told otherwise, and the export does not touch the weights.

    The same model gives the same bytes in another process; where someone keeps his files is his own affair.
    """
    both = tmp_path / "both"
    shutil.copytree(model, both)
    export_onnx(both, out=both)
    assert (both / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()
    for path in exported.iterdir():
        assert (both / path.name).read_bytes() == path.read_bytes(), path.name
        assert str(repository).encode() not in path.read_bytes()
    assert Recognizer(both).runtime == "torch"
    assert Recognizer(both, runtime="onnx").runtime == "onnx"
    assert Recognizer(exported).runtime == "onnx"
    assert _load(Settings(model=both, runtime="onnx")).runtime == "onnx"
    with pytest.raises(LatexifyError, match="weights of its own"):
        export_onnx(model, out=both)


def test_a_runtime_that_cannot_read_the_folder_is_one_line(model: Path, exported: Path) -> None:
    """The line says which command to run."""
    with pytest.raises(LatexifyError, match="run `latexify export-onnx --model"):
        Recognizer(model, runtime="onnx")
    with pytest.raises(LatexifyError, match="leave out --runtime torch"):
        Recognizer(exported, runtime="torch")
    with pytest.raises(LatexifyError, match="cannot compute on meta"):
        open_model(exported, device="meta")


@pytest.mark.parametrize("module", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named(
    module: str, model: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are optional: most people have none of them."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(LatexifyError, match=rf"{module} is missing: pip install 'latexify\[onnx\]'"):
        export_onnx(model, out=tmp_path / "onnx")
    if module == "onnxruntime":
        with pytest.raises(LatexifyError, match="onnxruntime is missing"):
            Recognizer(exported)
    else:
        Recognizer(exported)


def cut(path: Path) -> None:
    """Leave out the end."""
    path.write_bytes(path.read_bytes()[:-100])


def spoil(path: Path) -> None:
    """Something else of the same size."""
    path.write_bytes(b"\xff" * path.stat().st_size)


@pytest.mark.parametrize("name", ["encoder.onnx", "decoder.onnx"])
@pytest.mark.parametrize("damage", [cut, spoil, Path.unlink])
def test_a_damaged_file_is_one_line(exported: Path, tmp_path: Path, name: str, damage: Callable[[Path], None]) -> None:
    """Half a download, or another file in its place."""
    folder = tmp_path / "damaged"
    shutil.copytree(exported, folder)
    damage(folder / name)
    with pytest.raises(LatexifyError, match=r"run `latexify export-onnx` again") as caught:
        open_model(folder)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_what_computes_something_else_is_not_written(
    model: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check is what lets one trust the rest. Here the exporter makes the graphs of a model with other weights."""
    other = tmp_path / "other"
    shutil.copytree(model, other)
    weights = load_file(other / "model.safetensors")
    name = "decoder.model.decoder.layers.1.encoder_attn.v_proj.weight"
    save_file({**weights, name: 1.01 * weights[name]}, other / "model.safetensors", metadata={"format": "pt"})

    def write_graphs(*arguments: object) -> None:
        for path in exported.glob("*.onnx"):
            shutil.copy(path, str(arguments[-1]))

    monkeypatch.setattr(onnx_export, "_write_graphs", write_graphs)
    assert export_onnx(model, out=tmp_path / "same").comparison.is_equal
    with pytest.raises(LatexifyError, match="do not compute what torch does"):
        export_onnx(other, out=tmp_path / "differs")
    assert {path.name for path in tmp_path.iterdir()} == {"other", "same"}


def test_threads_are_those_of_torch(exported: Path) -> None:
    """`--threads 1` must not let a second engine take all cores."""
    for count in (2, 1):
        torch.set_num_threads(count)
        decoder = open_model(exported).inference.decoder
        assert isinstance(decoder, OnnxDecoder)
        assert decoder._graph.num_threads == count

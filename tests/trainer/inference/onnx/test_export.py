"""Models as ONNX: onnxruntime gives what torch gives, from a folder without weights or beside them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from latexify.common.errors import LatexifyError
from latexify.pipeline.grammar.allowances import read_grammar
from latexify.serve.http.models.loading import load
from latexify.serve.http.worker import ServiceSettings
from latexify.serve.recognizer import Recognizer
from latexify.trainer.inference.model import InferenceModel
from latexify.trainer.inference.onnx import export as onnx_export
from latexify.trainer.inference.onnx.export import export_onnx
from latexify.trainer.inference.open import open_model
from latexify.trainer.model.model import LoadedModel
from tests.support.handwriting import encoded, ink, inkml
from tests.support.reading_models import MAX_TOKENS, export_folder, make_loaded, random_pictures

OTHERS = ("small-handwritten", "projected")
"""As TrOCR's own: DeiT, ReLU, no first norm. And one that only transformers runs: Swin, and a linear layer between."""


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def latexify(*arguments: str | Path, repository: Path) -> subprocess.CompletedProcess[str]:
    """Run a command."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "latexify", *map(str, arguments)]
    return subprocess.run(command, cwd=repository, capture_output=True, check=False, env=environment, text=True)


def require_equal_answers(actual: InferenceModel, expected: InferenceModel) -> None:
    """Alone and together, greedily and with beams, for longer than a cache has room at first."""
    pixels = random_pictures(7).numpy()
    num_tokens = 0
    for batch in (pixels[:1], pixels):
        for num_beams in (1, 3):
            theirs, ours = (
                model.generate(batch, max_tokens=MAX_TOKENS, num_beams=num_beams, num_best=num_beams, stop_loops=False)
                for model in (expected, actual)
            )
            assert [[best.ids for best in each] for each in ours] == [[best.ids for best in each] for each in theirs]
            assert [best.confidence for each in ours for best in each] == pytest.approx(
                [best.confidence for each in theirs for best in each], abs=1e-4
            )
            num_tokens = max(num_tokens, *(len(each[0].ids) for each in ours))
    assert num_tokens > 32 or num_tokens >= expected.decoder.max_positions - 2


def test_the_grammar_is_exported(model: Path, exported: Path) -> None:
    """Without it, a light installation could not write what the model was trained on."""
    assert read_grammar(exported) == read_grammar(model)
    assert read_grammar(exported) is not None
    pictures = list(random_pictures(9).numpy())
    by_torch, by_onnx = (Recognizer(folder, device="cpu").read(pictures) for folder in (model, exported))
    assert [answer.latex for answer in by_onnx] == [answer.latex for answer in by_torch]


def test_onnxruntime_gives_what_torch_gives(model: Path, exported: Path) -> None:
    """With an export that is nearly right, error rates rise and nobody knows why."""
    require_equal_answers(open_model(exported).inference, open_model(model).inference)


@pytest.mark.parametrize("kind", OTHERS)
def test_every_kind_of_model_can_be_exported(kind: str, tmp_path: Path) -> None:
    """Fine-tuned checkpoints of TrOCR, and whatever else transformers runs, as well as our own presets."""
    loaded: LoadedModel = make_loaded(kind, tmp_path)
    assert hasattr(loaded.model, "enc_to_dec_proj") == (kind == "projected")
    folder = export_folder(loaded, tmp_path / "model")
    done = export_onnx(folder, out=tmp_path / "onnx")
    assert done.comparison.num_tokens > 100
    require_equal_answers(open_model(tmp_path / "onnx").inference, open_model(folder).inference)


def test_the_command_exports_and_recognize_takes_the_folder(
    model: Path, exported: Path, tmp_path: Path, repository: Path
) -> None:
    """What goes onto another machine: an ink and a scan, recognised from the folder that the command wrote.

    Another process writes the same bytes, so that exports of one model can be compared by their hash.
    """
    out = tmp_path / "onnx"
    done = latexify("export-onnx", "--model", model, "--out", out, repository=repository)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("equal to torch")
    assert "decoder.onnx" in done.stdout
    assert not list(out.glob("*.safetensors"))
    for path in exported.iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes(), path.name
    files = tmp_path / "files"
    files.mkdir()
    (files / "a.inkml").write_bytes(inkml())
    (files / "b.png").write_bytes(encoded(255 - 255 * ink()))
    options = ("--runtime", "onnx", "--beams", 2, "--json")
    done = latexify("recognize", "--model", out, *map(str, options), files, repository=repository)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    recognizer = Recognizer(model, device="cpu", runtime="torch")
    pictures = [recognizer.picture_of((files / name).read_bytes()) for name in ("a.inkml", "b.png")]
    for answer, expected in zip(answers, recognizer.read(pictures, num_beams=2), strict=True):
        assert answer["latex"] == expected.latex
        assert answer["confidence"] == pytest.approx(expected.confidence, abs=1e-3)


def test_graphs_beside_weights_refer_to_them(tmp_path: Path, repository: Path) -> None:
    """A published folder needs its weights only once. `recognize` uses the graphs unless told otherwise.

    The weights do not change, and graphs hold no path of the machine that exported them.
    """
    both = export_folder(make_loaded("hybrid", tmp_path), tmp_path / "both", dtype=torch.float16)
    before = (both / "model.safetensors").read_bytes()
    done = export_onnx(both, out=both)
    assert (both / "model.safetensors").read_bytes() == before
    assert sorted(done.num_bytes) == ["decoder.onnx", "encoder.onnx", "model.safetensors"]
    # the exporter folds small tensors into the graph, and the encoder of this model has no others
    assert b"model.safetensors" in (both / "decoder.onnx").read_bytes()
    for path in both.glob("*.onnx"):
        assert str(repository).encode() not in path.read_bytes()
        assert str(tmp_path).encode() not in path.read_bytes()
    require_equal_answers(open_model(both, runtime="onnx").inference, open_model(both, runtime="torch").inference)
    assert Recognizer(both, device="cpu").runtime == "onnx"
    assert Recognizer(both, runtime="torch").runtime == "torch"
    assert load(ServiceSettings(model=both, runtime="onnx").model_options).runtime == "onnx"
    (both / "model.safetensors").write_bytes(before[:-100])
    with pytest.raises(LatexifyError, match=r"model.safetensors has .* bytes"):
        open_model(both, runtime="onnx")


def test_weights_of_another_model_are_not_mixed_with_graphs(model: Path, exported: Path) -> None:
    """A folder with weights of its own would be one model for torch and another for onnxruntime."""
    with pytest.raises(LatexifyError, match="weights of its own"):
        export_onnx(exported, out=model)


@pytest.mark.parametrize("module", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named(
    module: str, model: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are optional: most people have none of them."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(LatexifyError, match=rf"the package {module} is missing: run pip install -e '.\[onnx\]'"):
        export_onnx(model, out=tmp_path / "onnx")
    if module == "onnxruntime":
        with pytest.raises(LatexifyError, match="onnxruntime is missing"):
            Recognizer(exported)
    else:
        Recognizer(exported)


def test_graphs_that_compute_something_else_are_not_written(
    model: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check makes the rest trustworthy. Here the exporter writes the graphs of a model with other weights."""
    other = tmp_path / "other"
    shutil.copytree(model, other)
    weights = load_file(other / "model.safetensors")
    name = "decoder.model.decoder.layers.1.encoder_attn.v_proj.weight"
    save_file({**weights, name: 1.01 * weights[name]}, other / "model.safetensors", metadata={"format": "pt"})

    def write_graphs(_: object, folder: Path, *, shared: Path | None, **_rest: object) -> None:
        assert shared is None
        for path in exported.glob("*.onnx"):
            shutil.copy(path, folder)

    monkeypatch.setattr(onnx_export, "_write_graphs", write_graphs)
    assert export_onnx(model, out=tmp_path / "same").comparison.is_equal
    with pytest.raises(LatexifyError, match="do not compute what torch does"):
        export_onnx(other, out=tmp_path / "differs")
    assert {path.name for path in tmp_path.iterdir()} == {"other", "same"}

"""Model folders are opened by the runtime that can run them, and damaged ones are one line."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from latexify.common.errors import LatexifyError
from latexify.common.package_data import default_model
from latexify.trainer.inference import open as open_module
from latexify.trainer.inference.from_transformers import make_inference_model
from latexify.trainer.inference.open import choose_runtime, open_model, quickest_runtime
from latexify.trainer.model.model import LoadedModel
from tests.support.reading_models import (
    KINDS,
    MAX_TOKENS,
    best_of,
    export_folder,
    generate_by_transformers,
    make_loaded,
    random_pictures,
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_gives_what_the_model_it_was_written_from_gives(kind: str, tmp_path: Path) -> None:
    """The recogniser has the weights, but not transformers' classes."""
    loaded = make_loaded(kind, tmp_path)
    pixels = random_pictures(10)
    trained = open_model(export_folder(loaded, tmp_path / "model"))
    expected = make_inference_model(loaded).encode(pixels.numpy())
    encoded = trained.inference.encode(pixels.numpy())
    assert torch.allclose(encoded, expected, atol=1e-3 * expected.abs().max().item())
    expected_ids = [best.ids for best in best_of(loaded, pixels, max_tokens=MAX_TOKENS)]
    ids = [hypotheses[0].ids for hypotheses in trained.inference.generate(pixels.numpy(), max_tokens=MAX_TOKENS)]
    assert ids == expected_ids
    assert trained.texts(ids) == loaded.texts(ids)


def test_half_precision_is_computed_in_single(tmp_path: Path) -> None:
    """Shipped weights are stored in 16 bits; computing in them is slow on a CPU, and less exact."""
    folder = export_folder(make_loaded("hybrid", tmp_path), tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    halves = {name: weight.half() if weight.is_floating_point() else weight for name, weight in weights.items()}
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
    model = open_model(folder).inference
    assert model.encode(random_pictures(2).numpy()).dtype == torch.float32
    assert model.generate(random_pictures(2).numpy(), max_tokens=5)[0][0].confidence > 0


def test_other_encoders_are_run_by_transformers(tmp_path: Path) -> None:
    """Custom architectures must work in recognize and predict."""
    loaded: LoadedModel = make_loaded("swin", tmp_path)
    trained = open_model(export_folder(loaded, tmp_path / "model"))
    pixels = random_pictures(3)
    results = trained.inference.generate(pixels.numpy(), max_tokens=MAX_TOKENS, stop_loops=False)
    expected, _ = generate_by_transformers(loaded, pixels, num_beams=1)
    assert [hypotheses[0].ids for hypotheses in results] == expected


def test_opening_a_folder_needs_no_transformers(tmp_path: Path, repository: Path) -> None:
    """Its import takes two seconds, all of which a user who recognises one formula would notice."""
    folder = export_folder(make_loaded("hybrid", tmp_path), tmp_path / "model")
    code = (
        "import sys; from pathlib import Path; from latexify.trainer.inference.open import open_model; "
        "open_model(Path(sys.argv[1])); assert 'transformers' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code, folder], cwd=repository, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_without_torch_a_folder_of_weights_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line says what to install or to run."""
    folder = export_folder(make_loaded("hybrid", tmp_path), tmp_path / "model")
    monkeypatch.setattr(open_module, "_has_package", lambda name: name != "torch")
    with pytest.raises(LatexifyError, match=r"torch is not installed.*latexify export-onnx --model"):
        choose_runtime(folder)


@pytest.mark.parametrize(
    ("missing", "drivers", "device", "expected"),
    [
        ("", (), None, "onnx"),
        ("", (Path("/dev/null"),), "cpu", "onnx"),
        ("torch", (Path("/dev/null"),), None, "onnx"),
        ("onnxruntime", (), None, "torch"),
        ("", (Path("/dev/null"),), None, "torch"),  # only torch finds out whether the GPU can be used
        ("", (), "cuda:1", "torch"),
    ],
)
def test_the_quickest_runtime_is_that_of_the_device(
    monkeypatch: pytest.MonkeyPatch, missing: str, drivers: tuple[Path, ...], device: str | None, expected: str
) -> None:
    """A first answer without the import of torch, but not at the price of the GPU."""
    monkeypatch.setattr(open_module, "_has_package", lambda name: name != missing)
    monkeypatch.setattr(open_module, "GPU_DRIVERS", drivers)
    assert quickest_runtime(default_model(), device=device) == expected


def test_a_folder_without_graphs_is_run_by_torch(tmp_path: Path) -> None:
    """A model that was just trained has none."""
    assert quickest_runtime(export_folder(make_loaded("hybrid", tmp_path), tmp_path / "model")) == "torch"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "config.json").write_text("{"), "is not a complete model"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "is not a complete model"),
        (lambda folder: (folder / "latexify.json").unlink(), "is not a complete model"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\0" * 100), "is not a complete model"),
        (lambda folder: (folder / "manifest.json").unlink(), "latexify train"),
    ],
)
def test_a_damaged_folder_is_one_line(tmp_path: Path, damage: object, message: str) -> None:
    """Incomplete downloads are common."""
    folder = export_folder(make_loaded("vit", tmp_path), tmp_path / "model")
    assert callable(damage)
    damage(folder)
    with pytest.raises(LatexifyError, match=message):
        open_model(folder)

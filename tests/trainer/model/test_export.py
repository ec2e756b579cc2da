"""The model folder: what its weights are stored in."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import VisionEncoderDecoderModel

from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import MODEL
from latexify.common.errors import LatexifyError
from latexify.trainer.inference.open import open_model
from latexify.trainer.model.model import load_model
from tests.support.reading_models import export_folder, make_loaded, random_pictures
from tests.support.trainer_data import train

torch.set_num_threads(1)


def test_half_the_size_reads_alike(
    training_data: Path, finished_run: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """A model that is shipped small must be what was trained, rounded and nothing else."""
    train(training_data, tmp_path, export_dtype="float16")
    full, half = finished_run[0] / "model", tmp_path / "model"
    whole = load_file(full / "model.safetensors")
    stored = load_file(half / "model.safetensors")
    assert whole.keys() == stored.keys()
    assert all(torch.equal(whole[name].half(), stored[name]) for name in stored)
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (half, full)]
    assert sizes[0] < 0.6 * sizes[1]
    assert all(weight.dtype == torch.float32 for weight in load_model(half).model.parameters())
    plain = VisionEncoderDecoderModel.from_pretrained(half)  # as the README and the card have it
    assert all(weight.dtype == torch.float32 for weight in plain.parameters())
    assert open_model(half, device="cpu").inference.generate(random_pictures(1).numpy(), max_tokens=4)
    manifests = [read_manifest(folder, MODEL).fingerprint for folder in (half, full)]
    assert manifests[0] != manifests[1], "figures of one must not pass for the other's"


def test_a_weight_beyond_half_precision_is_refused(tmp_path: Path) -> None:
    """Infinity in a weight would make a model that writes nonsense, without a word."""
    loaded = make_loaded("hybrid", tmp_path)
    with torch.no_grad():
        next(loaded.model.parameters()).view(-1)[0] = 1e5
    with pytest.raises(LatexifyError, match=r"do not fit into torch\.float16: set train.export_dtype to float32"):
        export_folder(loaded, tmp_path / "model", dtype=torch.float16)
    assert not (tmp_path / "model" / "manifest.json").exists()

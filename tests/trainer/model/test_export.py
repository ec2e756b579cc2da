"""The model folder: what its weights are stored in."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoProcessor, AutoTokenizer, TrOCRProcessor, VisionEncoderDecoderModel

from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import MODEL
from latexify.common.errors import LatexifyError
from latexify.common.package_data import default_model
from latexify.trainer.inference.open import open_model
from latexify.trainer.model.model import load_model
from tests.support.reading_models import export_folder, make_loaded, random_pictures
from tests.support.repository import REPOSITORY
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


def test_one_processor_has_both_halves(finished_run: tuple[Path, dict[str, Any]]) -> None:
    """TrOCR's tutorials begin with `AutoProcessor`; it gave the bare tokenizer, which takes no pictures."""
    for folder in (finished_run[0] / "model", default_model()):
        processor = AutoProcessor.from_pretrained(folder)
        assert isinstance(processor, TrOCRProcessor)
        size = processor.image_processor.size
        picture = Image.new("RGB", (size["width"], size["height"]), "white")
        pixels = processor(images=picture, return_tensors="pt").pixel_values
        assert pixels.shape[-2:] == (size["height"], size["width"])
        assert torch.equal(pixels, torch.ones_like(pixels))
        ids = AutoTokenizer.from_pretrained(folder)("1+1").input_ids
        assert processor.tokenizer("1+1").input_ids == ids


def test_a_weight_beyond_half_precision_is_refused(tmp_path: Path) -> None:
    """Infinity in a weight would make a model that writes nonsense, without a word."""
    loaded = make_loaded("hybrid", tmp_path)
    with torch.no_grad():
        next(loaded.model.parameters()).view(-1)[0] = 1e5
    with pytest.raises(LatexifyError, match=r"do not fit into torch\.float16: set train.export_dtype to float32"):
        export_folder(loaded, tmp_path / "model", dtype=torch.float16)
    assert not (tmp_path / "model" / "manifest.json").exists()


def test_other_users_may_read_a_trained_model(finished_run: tuple[Path, dict[str, Any]]) -> None:
    """The documented container runs as another user than the one who trained."""
    umask = os.umask(0o022)
    os.umask(umask)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (finished_run[0] / "model").iterdir()}
    assert modes["model.safetensors"] == 0o666 & ~umask
    assert set(modes.values()) == {0o666 & ~umask}


@pytest.mark.skipif(not hasattr(os, "fork") or os.getuid() != 0, reason="needs to become other users")
def test_one_user_exports_and_another_reads(finished_run: tuple[Path, dict[str, Any]]) -> None:
    """As in the container: neither of the two is root, and the second owns nothing."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        code = f"""
import os
from pathlib import Path
import numpy as np
from latexify.trainer.inference.open import open_model
from latexify.trainer.model.export import export_model
from latexify.trainer.model.model import load_model
from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import MODEL
source, folder = Path({str(finished_run[0] / "model")!r}), Path({name!r}) / "model"
loaded, manifest = load_model(source), read_manifest(source, MODEL)
open_model(source)  # imports all that it needs, perhaps from folders of this user's alone
if os.fork() == 0:
    os.setgid(20001); os.setuid(20001)
    export_model(loaded, folder, manifest=manifest, rows=[])
    os._exit(0)
assert os.waitpid(-1, 0)[1] == 0
assert folder.joinpath("model.safetensors").stat().st_uid == 20001
os.setgid(20002); os.setuid(20002)
model = open_model(folder)
paper = np.full((1, model.geometry.height_px, model.geometry.width_px), 255, dtype=np.uint8)
print(len(model.inference.generate(paper, max_tokens=4)), "read")
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.stdout == "1 read\n", done.stderr


@pytest.mark.skipif(not hasattr(os, "fork") or os.getuid() != 0, reason="needs to become another user")
def test_a_model_that_may_not_be_read_is_called_that(finished_run: tuple[Path, dict[str, Any]]) -> None:
    """It was called missing, and the advice was to train again."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        shutil.copytree(finished_run[0] / "model", folder)
        Path(name).chmod(0o755)
        (folder / "model.safetensors").chmod(0o600)
        code = f"""
import os
from pathlib import Path
from latexify.trainer.inference.open import open_model
open_model(Path({str(folder)!r}))  # imports all that it needs, perhaps from folders of this user's alone
os.setuid(65534)
open_model(Path({str(folder)!r}))
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert "model.safetensors cannot be read by this user (permission denied): change its mode" in done.stderr

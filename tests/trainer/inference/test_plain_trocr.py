"""Plain TrOCR models of transformers: recognised with as they are, or refused in one line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoTokenizer, VisionEncoderDecoderModel, ViTImageProcessor

from latexify import Recognizer
from latexify.common.errors import LatexifyError
from latexify.common.package_data import default_model, is_plain_trocr
from latexify.trainer.inference.onnx.export import export_onnx
from latexify.trainer.inference.open import manifest_of, open_model
from latexify.trainer.model.pretrained import store_positions
from tests.support.handwriting import encoded, ink, inkml
from tests.support.trocr_family import SIDE_PX, make_plain

KINDS = ("base-handwritten", "large-stage1", "small-handwritten")
MAX_TOKENS = 12


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_is_that_of_transformers(tmp_path: Path, kind: str) -> None:
    """Users compare with their own script: processor, generate, decode."""
    folder = make_plain(tmp_path / "model", kind)
    picture = np.random.default_rng(2).integers(0, 255, (50, 120), dtype=np.uint8)
    processor, tokenizer = AutoImageProcessor.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    network = VisionEncoderDecoderModel.from_pretrained(folder).eval()
    store_positions(network)  # transformers 5 loses computed ones
    inputs = processor(images=[Image.fromarray(picture).convert("RGB")], return_tensors="pt")["pixel_values"]
    expected = network.generate(inputs, max_length=MAX_TOKENS + 1, num_beams=1, do_sample=False)[0, 1:].tolist()
    model = open_model(folder)
    assert model.resize is not None
    [[best]] = model.inference.generate(model.resize(picture)[None], max_tokens=MAX_TOKENS, stop_loops=False)
    assert best.ids == [token for token in expected if token != network.generation_config.eos_token_id]
    assert model.texts([best.ids]) == [tokenizer.decode(expected, skip_special_tokens=True).strip()]


def test_inks_and_images_are_recognised(tmp_path: Path) -> None:
    """Inks are drawn on a canvas of the processor's size; images are not traced."""
    recognizer = Recognizer(str(make_plain(tmp_path / "model")))
    drawn, photo = recognizer.picture_of(inkml()), recognizer.picture_of(encoded(255 - 255 * ink()))
    assert drawn.shape == photo.shape == (SIDE_PX, SIDE_PX)
    assert not recognizer.is_calibrated
    assert len(recognizer.read([drawn, photo], num_beams=2, num_drawings=2)) == 2
    with pytest.raises(LatexifyError, match="cannot be constrained"):
        Recognizer(tmp_path / "model", constrained=True)


def test_weights_change_the_fingerprint(tmp_path: Path) -> None:
    """Evaluations of two fine-tunings in one folder must not be taken for the same."""
    folder = make_plain(tmp_path / "model")
    before = manifest_of(folder).fingerprint
    network = VisionEncoderDecoderModel.from_pretrained(folder)
    with torch.no_grad():
        network.decoder.output_projection.weight.add_(1.0)
    network.save_pretrained(folder)
    assert manifest_of(folder).fingerprint != before
    assert manifest_of(default_model()).fingerprint == open_model(default_model()).manifest.fingerprint


def test_what_is_a_plain_trocr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that was mistyped must not be looked for on the hub."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    assert is_plain_trocr(Path("mine"))
    assert is_plain_trocr(Path("microsoft/trocr-base-handwritten"))
    for name in ("empty", "mine/checkpoint", "data/model", "models/other", "a/b/c", "nothing", "./x"):
        assert not is_plain_trocr(Path(name)), name
    assert not is_plain_trocr(default_model())


def test_what_cannot_be_used_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line says what is missing."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(LatexifyError, match=r"configuration of the model `nobody/nothing` cannot be loaded"):
        open_model(Path("nobody/nothing"))
    folder = make_plain(tmp_path / "model")
    with pytest.raises(LatexifyError, match="which torch runs"):
        open_model(folder, runtime="onnx")
    with pytest.raises(LatexifyError, match="is a plain TrOCR: train from it"):
        export_onnx(folder, out=tmp_path / "onnx")
    ViTImageProcessor(size={"height": 32, "width": 96}).save_pretrained(folder)
    with pytest.raises(LatexifyError, match="pictures of 32x96, and its encoder takes 64x64"):
        open_model(folder)
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(LatexifyError, match="image processor of the model"):
        open_model(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config["encoder"]}), encoding="utf-8")
    with pytest.raises(LatexifyError, match="is not a VisionEncoderDecoderModel"):
        open_model(folder)

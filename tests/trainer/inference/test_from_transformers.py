"""A trained model predicts what it learnt, with a confidence, also outside this project."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from latexify.shards.format.index import open_split
from latexify.shards.reading.reader import SampleReader
from latexify.trainer.model.model import load_model, model_input
from tests.support.reading_models import best_of
from tests.support.trainer_data import GEOMETRY, draw, make_base, make_shards, make_tokenizer, train

torch.set_num_threads(1)


def test_a_tiny_model_learns_sixteen_samples_by_heart(tmp_path: Path) -> None:
    """A wrong label, id, shift, loss or decoding makes this impossible."""
    tokenizer = make_tokenizer(tmp_path / "tokenizer")
    make_shards(tmp_path / "shards", num_train=16, num_valid=16, valid_is_train=True)
    make_base(tmp_path / "base", tokenizer, size=96)
    summary = train(
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
    assert summary["valid_loss"] < 0.1  # not the CER: most of these labels are no formulas, as validation writes them
    loaded = load_model(tmp_path / "model")
    index = open_split(tmp_path / "shards", "train")
    samples = SampleReader(index).read(range(16))
    pixels = torch.from_numpy(np.stack([sample.pixels for sample in samples]))
    for beams in (1, 3):
        decoded = best_of(loaded, pixels, num_beams=beams, max_tokens=20)
        assert loaded.texts([best.ids for best in decoded]) == [sample.label for sample in samples]
        assert [best.ids for best in decoded] == [sample.token_ids[:-1].tolist() for sample in samples]
        assert all(best.finished and 0.5 < best.confidence <= 1 for best in decoded)
    cut = best_of(loaded, pixels, max_tokens=1)
    assert all(len(best.ids) <= 1 and not best.finished for best in cut)


def test_confidence_is_the_geometric_mean_of_token_probabilities(
    training_data: Path, finished_run: tuple[Path, dict[str, Any]]
) -> None:
    """Confidences of greedy and beam search must be comparable."""
    folder, _ = finished_run
    loaded = load_model(folder / "model")
    sample = SampleReader(open_split(training_data / "shards", "valid")).read([0])[0]
    pixels = torch.from_numpy(sample.pixels)[None]
    [decoded] = best_of(loaded, pixels, max_tokens=8)
    ids = torch.tensor([2, *decoded.ids, *([2] if decoded.finished else [])])
    with torch.no_grad():
        logits = loaded.model(pixel_values=model_input(pixels, loaded.model), decoder_input_ids=ids[None, :-1]).logits
    chosen = logits[0].log_softmax(-1)[range(len(ids) - 1), ids[1:]]
    assert decoded.confidence == pytest.approx(chosen.mean().exp().item(), rel=1e-4)


def test_the_folder_loads_elsewhere_without_this_project(
    finished_run: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """The result is a plain Hugging Face folder, which can be served without this project."""
    folder, _ = finished_run
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
    command = [sys.executable, "-c", code, str(folder / "model")]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    ids, text = json.loads(done.stdout)
    loaded = load_model(folder / "model")
    pixels = torch.from_numpy(draw([0, 1, 4]))[None]
    assert torch.equal(torch.from_numpy(np.load(tmp_path / "pixels.npy")), model_input(pixels, loaded.model))
    [decoded] = best_of(loaded, pixels, max_tokens=1000)
    assert ids[0] == 2
    assert [i for i in ids[1:] if i != 2] == decoded.ids
    assert [text] == loaded.texts([decoded.ids])
    assert loaded.geometry.to_dict() == GEOMETRY

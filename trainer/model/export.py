"""The model folder: plain Hugging Face files that load without this project, and our manifest."""

import json
from pathlib import Path

import torch
from torch import nn
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from latexify.artifacts.files import write_atomically
from latexify.artifacts.manifest import Manifest, write_manifest
from latexify.artifacts.names import CALIBRATION_NAME, GEOMETRY_NAME, MANIFEST_NAME
from latexify.common.errors import LatexifyError
from latexify.trainer.loop.history import Row, write_history
from latexify.trainer.model.model import LoadedModel
from latexify.trainer.model.pretrained import no_bars


def export_model(
    loaded: LoadedModel, out: Path, *, manifest: Manifest, rows: list[Row], dtype: torch.dtype = torch.float32
) -> None:
    """Write model, tokenizer, image processor, geometry and history into `out`, and the manifest last.

    dtype: of the stored weights; those of `loaded` are rounded to it, so that it reads like what is stored. Raises
    LatexifyError where a weight is beyond the range of `dtype`.

    `VisionEncoderDecoderModel`, `AutoTokenizer` and `AutoImageProcessor` load it by `from_pretrained(out)`; the
    processor makes of a shard's PNG, as RGB, exactly what the model was trained on.
    """
    _round_weights(loaded.model, dtype)
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST_NAME).unlink(missing_ok=True)
    (out / CALIBRATION_NAME).unlink(missing_ok=True)  # of the model that was here before
    with no_bars():
        loaded.model.save_pretrained(out)
    _state_dtype(out)
    loaded.tokenizer.save_pretrained(out)
    _image_processor(loaded).save_pretrained(out)
    geometry = json.dumps(loaded.geometry.to_dict(), indent=2) + "\n"
    write_atomically(out / GEOMETRY_NAME, geometry.encode())
    write_history(out, rows)
    write_manifest(out, manifest)


@torch.no_grad()
def _round_weights(model: nn.Module, dtype: torch.dtype) -> None:
    """Round in place. Integers, such as the counts of batch norms, stay as they are."""
    model.to(dtype)
    for name, weight in model.state_dict().items():
        if not torch.isfinite(weight).all():
            raise LatexifyError(f"the weights {name} do not fit into {dtype}: set train.export_dtype to float32")


def _state_dtype(out: Path) -> None:
    """Have `from_pretrained` compute in float32, whatever is stored: what it takes from config.json unless told.

    In half precision a CPU is slow, and the pictures that the image processor makes would have to be halved, too.
    """
    path = out / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["dtype"] = "float32"
    write_atomically(path, (json.dumps(config, indent=2, sort_keys=True) + "\n").encode())


def _image_processor(loaded: LoadedModel) -> ViTImageProcessorPil:
    channels = loaded.model.config.encoder.num_channels
    return ViTImageProcessorPil(
        size={"height": loaded.height_px, "width": loaded.width_px},
        image_mean=[0.5] * channels,
        image_std=[0.5] * channels,
    )

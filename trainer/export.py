"""The model folder: plain Hugging Face files that load without this project, and our manifest."""

import json
from pathlib import Path

from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from shards.files import write_atomically
from shards.manifest import MANIFEST_NAME, Manifest, write_manifest
from trainer.geometry import GEOMETRY_NAME
from trainer.history import Row, write_history
from trainer.model import LoadedModel, no_bars


def export_model(loaded: LoadedModel, out: Path, *, manifest: Manifest, rows: list[Row]) -> None:
    """Write model, tokenizer, image processor, geometry and history into `out`, and the manifest last.

    `VisionEncoderDecoderModel`, `AutoTokenizer` and `AutoImageProcessor` load it by `from_pretrained(out)`; the
    processor makes of a shard's PNG, as RGB, exactly what the model was trained on.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST_NAME).unlink(missing_ok=True)
    with no_bars():
        loaded.model.save_pretrained(out)
    loaded.tokenizer.save_pretrained(out)
    _image_processor(loaded).save_pretrained(out)
    geometry = json.dumps(loaded.geometry.to_dict(), indent=2) + "\n"
    write_atomically(out / GEOMETRY_NAME, geometry.encode())
    write_history(out, rows)
    write_manifest(out, manifest)


def _image_processor(loaded: LoadedModel) -> ViTImageProcessorPil:
    channels = loaded.model.config.encoder.num_channels
    return ViTImageProcessorPil(
        size={"height": loaded.height_px, "width": loaded.width_px},
        image_mean=[0.5] * channels,
        image_std=[0.5] * channels,
    )

"""Writing a model folder: plain Hugging Face files that load without this project, and our manifest."""

import json
import stat
from pathlib import Path

import torch
from torch import nn
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from latexify.artifacts.files import write_atomically, write_json
from latexify.artifacts.manifest import Manifest, write_manifest
from latexify.artifacts.names import CALIBRATION_NAME, CONFIG_NAME, GEOMETRY_NAME, GRAMMAR_NAME, MANIFEST_NAME
from latexify.common.errors import LatexifyError
from latexify.pipeline.grammar.allowances import write_grammar
from latexify.trainer.loop.history import HistoryRow, write_history
from latexify.trainer.model.model import LoadedModel
from latexify.trainer.model.pretrained import without_progress_bars

PROCESSOR_NAME = "preprocessor_config.json"


def export_model(
    loaded: LoadedModel, out: Path, *, manifest: Manifest, rows: list[HistoryRow], dtype: torch.dtype = torch.float32
) -> None:
    """Write model, tokenizer, grammar, image processor, geometry and history, and the manifest last.

    `VisionEncoderDecoderModel` and `AutoProcessor` (or `AutoTokenizer` and `AutoImageProcessor`) load it by
    `from_pretrained(out)`; the processor turns a shard's PNG, as RGB, into exactly what the model was trained on.

    The weights of the model itself are rounded to `dtype`, too, so that it equals what is stored. Raises LatexifyError
    if one of them is beyond the range of `dtype`.
    """
    _round_weights(loaded.model, dtype)
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST_NAME).unlink(missing_ok=True)
    for name in (CALIBRATION_NAME, GRAMMAR_NAME):  # belong to the previous model
        (out / name).unlink(missing_ok=True)
    with without_progress_bars():
        loaded.model.save_pretrained(out)
    # in half precision, a CPU is slow, and the output of the image processor would have to be converted as well
    _add_to_json(out / CONFIG_NAME, dtype="float32")
    loaded.tokenizer.save_pretrained(out)
    if loaded.allowances is not None:
        write_grammar(out, loaded.allowances)
    _image_processor(loaded).save_pretrained(out)
    _add_to_json(out / PROCESSOR_NAME, processor_class="TrOCRProcessor")  # or AutoProcessor gives the bare tokenizer
    write_json(out / GEOMETRY_NAME, loaded.geometry.to_dict())
    _let_others_read(out)
    write_history(out, rows)
    write_manifest(out, manifest)


def _let_others_read(out: Path) -> None:
    """Give all files the mode that the umask asks for, as the geometry's has: safetensors lets nobody else read.

    A container or another user of the machine could not open the model.
    """
    mode = stat.S_IMODE((out / GEOMETRY_NAME).stat().st_mode)
    for path in out.iterdir():
        if path.is_file():
            path.chmod(mode)


@torch.no_grad()
def _round_weights(model: nn.Module, dtype: torch.dtype) -> None:
    """Round in place; integers, such as the counts of batch norms, do not change."""
    model.to(dtype)
    for name, weight in model.state_dict().items():
        if not torch.isfinite(weight).all():
            raise LatexifyError(f"the weights {name} do not fit into {dtype}: set train.export_dtype to float32")


def _add_to_json(path: Path, **values: str) -> None:
    """Set values in a file that transformers wrote."""
    content = json.loads(path.read_text(encoding="utf-8")) | values
    write_atomically(path, (json.dumps(content, indent=2, sort_keys=True) + "\n").encode())


def _image_processor(loaded: LoadedModel) -> ViTImageProcessorPil:
    channels = loaded.model.config.encoder.num_channels
    return ViTImageProcessorPil(
        size={"height": loaded.height_px, "width": loaded.width_px},
        image_mean=[0.5] * channels,
        image_std=[0.5] * channels,
    )

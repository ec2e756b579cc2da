"""A trained model as ONNX: two graphs beside tokenizer and configuration, checked to compute what torch computes."""

import importlib
import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from latexify.artifacts.manifest import Manifest, write_manifest
from latexify.artifacts.names import CONFIG_NAME, DECODER_NAME, ENCODER_NAME, MANIFEST_NAME, WEIGHTS_NAME
from latexify.common.errors import LatexifyError
from latexify.trainer.inference.onnx.backend import open_graphs
from latexify.trainer.inference.onnx.check import Comparison, compare
from latexify.trainer.inference.onnx.graphs import DecoderGraph, EncoderGraph
from latexify.trainer.inference.reader import ONNX_CONTENT, TrainedReader, open_reader

OPSET = 20
"""Of ONNX: the first that has GELU as one operator. onnxruntime reads it from version 1.17 on."""

WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "*.onnx", "*.onnx.data")
"""What a folder that is read by onnxruntime does without, or has its own of."""

NEEDED = {"onnx": "onnx", "onnxscript": "onnxscript", "onnxruntime": "onnxruntime"}
"""Modules, and the packages that hold them."""


@dataclass(frozen=True, kw_only=True)
class Export:
    """What was written. num_bytes: of each file of the graphs, by name."""

    folder: Path
    num_bytes: Mapping[str, int]
    comparison: Comparison


def export_onnx(model: Path, *, out: Path) -> Export:
    """Write the model folder `model` as ONNX into the folder `out`, which `open_reader` then reads by onnxruntime.

    out: it may be `model` itself, which then holds both. Otherwise it gets all but the weights; it is whole once it has
    a manifest, the same but for the sizes of the graphs. Nothing is written unless the graphs are equal to torch.

    Raises LatexifyError where packages are missing, `model` is no whole model, it cannot be exported, or the graphs
    compute something else.
    """
    _require_packages()
    if out.resolve() != model.resolve() and any(out.glob("*.safetensors")):
        raise LatexifyError(f"{out} holds weights of its own: choose another --out")
    trained = open_reader(model, device=torch.device("cpu"), engine="torch", packed=False)
    config = json.loads((model / CONFIG_NAME).read_text(encoding="utf-8"))
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as name:
        draft = Path(name)
        _write_graphs(trained, config, _decoder_weights(model), draft)
        encode, decoder = open_graphs(draft, config, device=torch.device("cpu"))
        found = replace(trained.reader, encode=encode, decoder=decoder)
        comparison = compare(trained.reader, found, geometry=trained.geometry)
        comparison.require_equal()
        num_bytes = {path.name: path.stat().st_size for path in sorted(draft.iterdir())}
        _install(draft, trained.manifest, num_bytes, model=model, out=out)
    return Export(folder=out, num_bytes=num_bytes, comparison=comparison)


def _require_packages() -> None:
    for module, package in NEEDED.items():
        try:
            importlib.import_module(module)
        except ModuleNotFoundError:
            raise LatexifyError(f"{package} is missing: pip install 'latexify[onnx]'") from None


def _decoder_weights(model: Path) -> Mapping[str, torch.Tensor]:
    """In float32, by their names below `decoder.`."""
    if (model / WEIGHTS_NAME).is_file():
        weights = load_file(model / WEIGHTS_NAME)
        prefix = "decoder."
        return {name.removeprefix(prefix): w.float() for name, w in weights.items() if name.startswith(prefix)}
    from latexify.trainer.model.model import load_model  # noqa: PLC0415  # takes seconds, and few models need it

    state: Mapping[str, torch.Tensor] = load_model(model).model.decoder.state_dict()
    return state


def _write_graphs(
    trained: TrainedReader, config: Mapping[str, Any], weights: Mapping[str, torch.Tensor], folder: Path
) -> None:
    decoder, geometry = config["decoder"], trained.geometry
    heads, layers = int(decoder["decoder_attention_heads"]), int(decoder["decoder_layers"])
    size = int(decoder["d_model"]) // heads
    samples, beams = torch.export.Dim("samples"), torch.export.Dim("beams")
    length = torch.export.Dim("length", max=int(decoder["max_position_embeddings"]) - 1)
    # examples of two or more of everything that varies: of one, the exporter would conclude that it is always one
    pixels = torch.zeros(2, geometry.height_px, geometry.width_px, dtype=torch.uint8)
    encoder = EncoderGraph(trained.reader.encode, decoder, weights)
    with torch.inference_mode():
        memory = [torch.zeros_like(tensor) for tensor in encoder(pixels)]
    memory_names, past_names, present_names = (
        [f"{kind}_{part}_{number}" for number in range(layers) for part in ("key", "value")]
        for kind in ("memory", "past", "present")
    )
    _write(
        encoder,
        (pixels,),
        folder / ENCODER_NAME,
        inputs=["pixels"],
        outputs=memory_names,
        varying=({0: samples},),
        names=["samples"],
    )
    past = [torch.zeros(2, 3, heads, 4, size) for _ in past_names]
    _write(
        DecoderGraph(decoder, weights),
        (torch.zeros(2, 3, dtype=torch.int64), memory, past),
        folder / DECODER_NAME,
        inputs=["tokens", *memory_names, *past_names],
        outputs=["logits", *present_names],
        varying=(
            {0: samples, 1: beams},
            [{0: samples} for _ in memory],
            [{0: samples, 1: beams, 3: length} for _ in past],
        ),
        names=["samples", "beams", "length"],
    )


def _write(  # noqa: PLR0913  # what a graph is; all are named
    graph: nn.Module,
    arguments: tuple[Any, ...],
    path: Path,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    varying: tuple[Any, ...],
    names: Sequence[str],
) -> None:
    """Export one graph. varying: which dimensions of the arguments vary, as torch wants it. names: of their sizes."""
    import onnx_ir.passes.common  # noqa: PLC0415  # optional; comes with onnxscript

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about itself
        try:
            program = torch.onnx.export(
                graph.eval(),
                arguments,
                dynamo=True,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=varying,
                opset_version=OPSET,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            reason = " ".join(str(error.__cause__ or error).split())[:200]
            raise LatexifyError(f"{path.name}: this kind of model cannot be exported ({reason})") from error
    assert program is not None
    kept = {str(size) for value in program.model.graph.inputs for size in value.shape or ()}
    for name in names:
        if name not in kept:  # the exporter gives in silently where a model takes a size for a constant
            raise LatexifyError(f"{path.name}: this kind of model cannot be exported (the number of {name} is fixed)")
    # where in our files each operator comes from: nobody's business, and other bytes in every checkout
    onnx_ir.passes.common.ClearMetadataAndDocStringPass()(program.model)
    program.save(path)


def _install(draft: Path, manifest: Manifest, num_bytes: Mapping[str, int], *, model: Path, out: Path) -> None:
    """Put the graphs where they belong, the manifest last."""
    out.mkdir(parents=True, exist_ok=True)
    if out.resolve() != model.resolve():
        (out / MANIFEST_NAME).unlink(missing_ok=True)
        for path in sorted(model.iterdir()):
            if path.is_file() and path.name != MANIFEST_NAME and not any(path.match(kind) for kind in WEIGHTS):
                shutil.copyfile(path, out / path.name)
    for path in [*out.glob("*.onnx"), *out.glob("*.onnx.data")]:
        path.unlink()
    for path in draft.iterdir():
        path.replace(out / path.name)
    write_manifest(out, replace(manifest, content={**manifest.content, ONNX_CONTENT: dict(num_bytes)}))

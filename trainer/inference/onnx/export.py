"""Export a trained model as two ONNX graphs, after checking that they compute what torch computes."""

import importlib
import json
import logging
import re
import shutil
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from latexify.artifacts.manifest import Manifest, write_manifest
from latexify.artifacts.names import CONFIG_NAME, DECODER_NAME, ENCODER_NAME, MANIFEST_NAME, WEIGHTS_NAME
from latexify.common.errors import LatexifyError, one_line
from latexify.common.extras import missing_extra
from latexify.common.package_data import is_plain_trocr
from latexify.trainer.inference.encoder import Encoder, make_encoder
from latexify.trainer.inference.from_torch import weights_below
from latexify.trainer.inference.from_transformers import encode_by_transformers
from latexify.trainer.inference.layers import Weights
from latexify.trainer.inference.onnx.check import Comparison, compare
from latexify.trainer.inference.onnx.graphs import DecoderGraph, EncoderGraph, MakeEncoder
from latexify.trainer.inference.onnx.runtime import open_graphs
from latexify.trainer.inference.open import ONNX_CONTENT, open_model
from latexify.trainer.model.canvas import Geometry
from latexify.trainer.model.model import load_model

OPSET = 20
"""Version of ONNX's operators: the first with GELU as one operator. onnxruntime supports it from version 1.17 on."""
NOT_COPIED = ("*.safetensors", "*.safetensors.index.json", "*.onnx", "*.onnx.data")
"""Files that a folder for onnxruntime does without, or has its own of."""
NEEDED = ("onnx", "onnxscript", "onnxruntime")
"""Packages, and the names they are imported by."""


@dataclass(frozen=True, kw_only=True)
class Export:
    """What was written. num_bytes: size of each file that the graphs need, by name."""

    folder: Path
    num_bytes: Mapping[str, int]
    comparison: Comparison


@dataclass(frozen=True, kw_only=True)
class _Source:
    """A model to export. The weights are as they are stored, all of them in the file `weights_path` if there is one."""

    config: Mapping[str, Any]  # content of config.json
    make_encoder: MakeEncoder  # see `EncoderGraph`
    encoder_weights: Weights  # none if `make_encoder` has its own
    decoder_weights: Weights
    weights_path: Path | None


def export_onnx(model: Path, *, out: Path) -> Export:
    """Export the model folder `model` as ONNX into `out`, which `open_model` can then open with onnxruntime.

    Nothing is written unless the graphs are equal to torch.

    Args:
        model: Folder that the train stage wrote.
        out: Folder to write. If it is `model` itself, it then has both, and the graphs refer to the weights in
            model.safetensors where they can, instead of holding them again. Another folder gets everything but
            model.safetensors, and a manifest last that differs only in the sizes of the graphs.

    Raises:
        LatexifyError: If packages are missing, `model` is not a complete model or cannot be exported, or the graphs
            compute something else.
    """
    _require_packages()
    if is_plain_trocr(model):
        raise LatexifyError(
            f"{model} is a plain TrOCR: train from it (model.base), or export it by transformers' own tools"
        )
    is_same = out.resolve() == model.resolve()
    if not is_same and any(out.glob("*.safetensors")):
        raise LatexifyError(f"{out} holds weights of its own: choose another --out")
    trained = open_model(model, runtime="torch", packed=False)
    source = _read_source(model)
    shared = source.weights_path if is_same else None
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as name:
        draft = Path(name)
        if shared is not None:
            shutil.copyfile(shared, draft / shared.name)  # onnxruntime refuses links out of the folder
        _write_graphs(source, draft, geometry=trained.geometry, shared=shared)
        comparison = compare(trained.inference, open_graphs(draft, source.config), geometry=trained.geometry)
        comparison.require_equal()
        num_bytes = {path.name: path.stat().st_size for path in sorted(draft.iterdir())}
        if shared is not None:
            (draft / shared.name).unlink()
        _install(draft, trained.manifest, num_bytes, model=model, out=out)
    return Export(folder=out, num_bytes=num_bytes, comparison=comparison)


def _require_packages() -> None:
    for package in NEEDED:
        try:
            importlib.import_module(package)
        except ModuleNotFoundError:
            raise missing_extra("onnx", package=package) from None


def _read_source(model: Path) -> _Source:
    config = json.loads((model / CONFIG_NAME).read_text(encoding="utf-8"))
    path = model / WEIGHTS_NAME
    weights = load_file(path) if path.is_file() else {}
    if weights and "enc_to_dec_proj.weight" not in weights:
        encoder_weights = weights_below(weights, "encoder.")
        floats = {name: weight.float() for name, weight in encoder_weights.items()}
        if make_encoder(config["encoder"], floats, packed=False) is not None:
            return _Source(
                config=config,
                make_encoder=partial(_make_encoder, config["encoder"]),
                encoder_weights=encoder_weights,
                decoder_weights=weights_below(weights, "decoder."),
                weights_path=path,
            )
    loaded = load_model(model).model
    state = loaded.decoder.state_dict()
    if torch.equal(state["output_projection.weight"], state["model.decoder.embed_tokens.weight"]):
        del state["output_projection.weight"]  # a state dict names a shared table twice
    return _Source(
        config=config,
        make_encoder=lambda _: partial(encode_by_transformers, loaded),
        encoder_weights={},
        decoder_weights=state,
        weights_path=None,
    )


def _make_encoder(config: Mapping[str, Any], weights: Weights) -> Encoder:
    encoder = make_encoder(config, weights, packed=False)
    assert encoder is not None
    return encoder


def _write_graphs(source: _Source, folder: Path, *, geometry: Geometry, shared: Path | None) -> None:
    """Write both graphs into a folder. shared: safetensors file that they refer to for weights."""
    decoder = source.config["decoder"]
    heads, layers = int(decoder["decoder_attention_heads"]), int(decoder["decoder_layers"])
    size = int(decoder["d_model"]) // heads
    samples, beams = torch.export.Dim("samples"), torch.export.Dim("beams")
    length = torch.export.Dim("length", max=int(decoder["max_position_embeddings"]) - 1)
    # at least two of everything that varies: from one, the exporter would conclude that it is always one
    pixels = torch.zeros(2, geometry.height_px, geometry.width_px, dtype=torch.uint8)
    sides, patches = _varying_sizes(geometry)
    encoder = EncoderGraph(
        source.make_encoder,
        decoder,
        encoder_weights=source.encoder_weights,
        decoder_weights={name: w for name, w in source.decoder_weights.items() if ".encoder_attn." in name},
    )
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
        varying=({0: samples, **sides},),
        names=["samples", *(_SIDES[dimension] for dimension in sides)],
        shared=shared,
    )
    past = [torch.zeros(2, 3, heads, 4, size) for _ in past_names]
    _write(
        DecoderGraph(decoder, source.decoder_weights),
        (torch.zeros(2, 3, dtype=torch.int64), memory, past),
        folder / DECODER_NAME,
        inputs=["tokens", *memory_names, *past_names],
        outputs=["logits", *present_names],
        varying=(
            {0: samples, 1: beams},
            [{0: samples, **patches[number % 2]} for number in range(len(memory))],
            [{0: samples, 1: beams, 3: length}] * len(past),
        ),
        names=["samples", "beams", "length", *(["patches"] if sides else [])],
        shared=shared,
    )


_SIDES = {1: "rows", 2: "columns"}
"""What the steps of each dimension of pictures are called in a graph."""


def _varying_sizes(geometry: Geometry) -> tuple[dict[int, Any], list[dict[int, Any]]]:
    """Return which dimensions of pictures, and of keys and values in memory, vary with the size; empty if none."""
    canvas = (geometry.height_px, geometry.width_px)
    sides = {
        dimension: step * torch.export.Dim(name, min=1, max=side // step)
        for (dimension, name), side, step in zip(_SIDES.items(), canvas, geometry.steps_px, strict=True)
        if step != side
    }
    if not sides:
        return {}, [{}, {}]
    patches = torch.export.Dim("patches")
    return sides, [{3: patches}, {2: patches}]


def _write(  # noqa: PLR0913  # what a graph is; all are named
    graph: nn.Module,
    arguments: tuple[Any, ...],
    path: Path,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    varying: tuple[Any, ...],
    names: Sequence[str],
    shared: Path | None,
) -> None:
    """Export a graph, traced with examples of its arguments, to a file.

    varying: which dimensions of the arguments vary, as torch takes it. names: of the sizes of these dimensions.
    """
    import onnx_ir.passes.common  # noqa: PLC0415  # optional; comes with onnxscript

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's warnings about itself
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
            reason = one_line(error.__cause__ or error)[:200]
            raise LatexifyError(f"{path.name}: this kind of model cannot be exported ({reason})") from error
    assert program is not None
    sizes = " ".join(str(size) for value in program.model.graph.inputs for size in value.shape or ())
    kept = set(re.findall(r"[a-z]+", sizes))  # a size may be a multiple, such as 64*steps
    for name in names:
        if name not in kept:  # the exporter silently gives in if a model treats a size as a constant
            raise LatexifyError(f"{path.name}: this kind of model cannot be exported (the number of {name} is fixed)")
    # the source line of each operator would differ in every checkout
    onnx_ir.passes.common.ClearMetadataAndDocStringPass()(program.model)
    if shared is None:
        program.save(path)
    else:
        _refer_to_weights(program.model, shared)
        onnx_ir.save(program.model, path)


def _refer_to_weights(model: Any, weights: Path) -> None:
    """Replace initializers by references to the tensors of a safetensors file in the same folder."""
    import onnx_ir  # noqa: PLC0415  # optional

    with weights.open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(header_bytes))
    for value in model.graph.initializers.values():
        entry = header.get(value.name.replace("/", "."))
        if entry is None:
            continue  # a small constant that the exporter computed
        begin, end = entry["data_offsets"]
        value.const_value = onnx_ir.ExternalTensor(
            weights.name,
            8 + header_bytes + begin,
            end - begin,
            value.const_value.dtype,
            shape=value.const_value.shape,
            name=value.name,
            base_dir=weights.parent,
        )


def _install(draft: Path, manifest: Manifest, num_bytes: Mapping[str, int], *, model: Path, out: Path) -> None:
    """Move the graphs to their folder, the manifest last."""
    out.mkdir(parents=True, exist_ok=True)
    if out.resolve() != model.resolve():
        (out / MANIFEST_NAME).unlink(missing_ok=True)
        for path in sorted(model.iterdir()):
            if path.is_file() and path.name != MANIFEST_NAME and not any(path.match(kind) for kind in NOT_COPIED):
                shutil.copyfile(path, out / path.name)
    for path in [*out.glob("*.onnx"), *out.glob("*.onnx.data")]:
        path.unlink()
    for path in draft.iterdir():
        path.replace(out / path.name)
    write_manifest(out, replace(manifest, content={**manifest.content, ONNX_CONTENT: dict(num_bytes)}))

"""Open a model folder for inference, with the runtime that can run it. Imports torch only where torch runs it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from latexify.artifacts.manifest import Manifest, read_manifest
from latexify.artifacts.names import CONFIG_NAME, EXPORT_ONNX, MODEL, TOKENIZER_NAME, WEIGHTS_NAME
from latexify.common.errors import LatexifyError, first_line
from latexify.common.package_data import is_plain_trocr
from latexify.trainer.inference.model import InferenceModel, TrainedModel
from latexify.trainer.inference.runtime import Runtime
from latexify.trainer.inference.texts import open_texts
from latexify.trainer.model.canvas import read_geometry

Config = Mapping[str, Any]

ONNX_CONTENT = "onnx"
"""Key in the manifest of a folder with graphs for onnxruntime: the size in bytes of each of their files, by name."""


GPU_DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/kfd"), Path("/dev/dxg"))
"""Devices by which torch reaches GPUs: of NVIDIA, of AMD, and of either in Windows' subsystem for Linux."""


def _has_package(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def choose_runtime(folder: Path, runtime: Runtime | None = None) -> Runtime:
    """Check that a model folder has what `runtime` needs; None chooses torch if folder and machine allow, else onnx.

    Raises LatexifyError if it is not a model folder, or files or packages are missing.
    """
    if is_plain_trocr(folder):
        if runtime == "onnx":
            raise LatexifyError(f"{folder} is a plain TrOCR, which torch runs: leave out --runtime")
        return "torch"
    manifest = read_manifest(folder, MODEL)
    has_weights, has_graphs = any(folder.glob("*.safetensors")), ONNX_CONTENT in manifest.content
    has_torch = _has_package("torch")
    if runtime is None:
        runtime = "onnx" if has_graphs and not (has_weights and has_torch) else "torch"
    if runtime == "onnx" and not has_graphs:
        raise LatexifyError(
            f"{folder} has no graphs for onnxruntime: run `latexify export-onnx --model {folder}`, "
            "and pass the folder that it writes as --model"
        )
    if runtime == "torch" and not has_weights and has_graphs:
        raise LatexifyError(f"{folder} has graphs for onnxruntime only: leave out --runtime torch")
    if runtime == "torch" and not has_torch:
        mend = "leave out --runtime torch" if has_graphs else f"run `{EXPORT_ONNX} --model {folder}` where torch is"
        raise LatexifyError(f"torch is not installed, which {folder} needs: install it, or {mend}")
    return runtime


def quickest_runtime(folder: Path, *, device: str | None = None) -> Runtime:
    """Choose the runtime that gives the first answer soonest, of those that the folder and the machine allow.

    On a CPU it is onnxruntime, which also answers single pictures sooner (docs/log/performance.md): importing torch
    takes longer than everything else. Where torch might use a GPU (`device` names one, or is None and a driver is
    there), it is torch. Raises as :func:`choose_runtime`, to which the choice falls if there is only one.
    """
    has_graphs = not is_plain_trocr(folder) and ONNX_CONTENT in read_manifest(folder, MODEL).content
    can_use_gpu = _has_package("torch") and (_has_gpu_driver() if device is None else device != "cpu")
    return choose_runtime(folder, "onnx" if has_graphs and _has_package("onnxruntime") and not can_use_gpu else None)


def _has_gpu_driver() -> bool:
    """Whether the machine may have a GPU that torch can use; asking torch itself would take a second."""
    return any(path.exists() for path in GPU_DRIVERS)


def open_model(
    folder: Path,
    *,
    device: str | None = "cpu",
    runtime: Runtime | None = None,
    num_threads: int | None = None,
    packed: bool = True,
) -> TrainedModel:
    """Open a folder that `latexify train` or `latexify export-onnx` wrote, or a plain TrOCR, for inference in float32.

    Most models need no transformers, whose import takes longer than recognising a page; it runs the others.

    Args:
        folder: Model folder, or the name of a plain TrOCR on the hub, see `is_plain_trocr`.
        device: torch's name of a device; None chooses the best one that the runtime supports.
        runtime: See :func:`choose_runtime`.
        num_threads: CPU threads of an operator. None leaves torch as it is; onnxruntime then takes one for each CPU.
        packed: See :func:`latexify.trainer.inference.encoder.make_encoder`.

    Raises:
        LatexifyError: If the folder is missing, incomplete or damaged, or the runtime cannot run it.
    """
    runtime = choose_runtime(folder, runtime)
    if is_plain_trocr(folder):
        return _open_plain_trocr(folder, device, num_threads)
    manifest = read_manifest(folder, MODEL)
    producer = EXPORT_ONNX if runtime == "onnx" else MODEL.producer
    try:
        geometry = read_geometry(folder)
        config = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
        if runtime == "onnx":
            inference = _open_graphs(folder, config, device, num_threads, num_bytes=manifest.content[ONNX_CONTENT])
        else:
            inference = _open_weights(folder, config, device, num_threads, packed=packed)
        if inference is not None:
            backward_start_id = _backward_start_id(config, manifest)
            inference = replace(inference, backward_start_id=backward_start_id, geometry=geometry)
            texts = open_texts(folder)
            return TrainedModel(inference=inference, texts=texts, geometry=geometry, manifest=manifest)
    except LatexifyError:
        raise
    except PermissionError as error:
        raise LatexifyError(
            f"{error.filename} cannot be read by this user (permission denied): change its mode, such as chmod a+r"
        ) from None
    except (OSError, ValueError, KeyError) as error:
        raise LatexifyError(f"{folder} is not a complete model ({first_line(error)}): run `{producer}` again") from None
    return _open_by_transformers(folder, device, manifest)


def _backward_start_id(config: Config, manifest: Manifest) -> int | None:
    """Return the start token, if the model has learned that labels from right to left begin with it."""
    has_learned = manifest.params.get("train", {}).get("backward_fraction", 0) > 0
    return int(config["bos_token_id"]) if has_learned else None


def _open_graphs(
    folder: Path, config: Config, device: str | None, num_threads: int | None, *, num_bytes: Mapping[str, int]
) -> InferenceModel | None:
    from latexify.trainer.inference.onnx.runtime import open_graphs  # noqa: PLC0415  # only where it is used

    for name, size in num_bytes.items():  # onnxruntime opens some files that were cut short
        actual = (folder / name).stat().st_size
        if actual != size:
            raise ValueError(f"{name} has {actual:,} bytes, not {size:,}")
    return open_graphs(folder, config, device=device, num_threads=num_threads)


def _open_weights(
    folder: Path, config: Config, device: str | None, num_threads: int | None, *, packed: bool
) -> InferenceModel | None:
    """Return None if transformers must run it: another encoder, or files that are laid out in another way."""
    import torch  # noqa: PLC0415  # onnxruntime works without it

    from latexify.trainer.inference.from_torch import load_weights, make_torch_model  # noqa: PLC0415
    from latexify.trainer.loop.precision import choose_device  # noqa: PLC0415

    if num_threads is not None:
        torch.set_num_threads(num_threads)
    if not ((folder / WEIGHTS_NAME).is_file() and (folder / TOKENIZER_NAME).is_file()):
        return None
    chosen = choose_device(device)
    return make_torch_model(config, load_weights(folder, device=chosen), device=chosen, packed=packed)


def manifest_of(model: Path) -> Manifest:
    """Read the manifest of a model folder, or describe a plain TrOCR. Raises LatexifyError if it cannot be read."""
    if not is_plain_trocr(model):
        return read_manifest(model, MODEL)
    _require_transformers(model)
    from latexify.trainer.inference.plain_trocr import plain_manifest  # noqa: PLC0415  # takes seconds

    return plain_manifest(model)


def _open_plain_trocr(model: Path, device: str | None, num_threads: int | None) -> TrainedModel:
    _require_transformers(model)
    import torch  # noqa: PLC0415

    from latexify.trainer.inference.plain_trocr import open_plain_trocr  # noqa: PLC0415  # takes seconds

    if num_threads is not None:
        torch.set_num_threads(num_threads)
    return open_plain_trocr(model, device=device)


def _require_transformers(model: Path) -> None:
    try:
        import transformers  # noqa: F401, PLC0415
    except ModuleNotFoundError:
        raise LatexifyError(f"transformers is not installed, which the model {model} needs: install it") from None


def _open_by_transformers(folder: Path, device: str | None, manifest: Manifest) -> TrainedModel:
    _require_transformers(folder)
    from latexify.trainer.inference.from_transformers import make_inference_model  # noqa: PLC0415  # takes seconds
    from latexify.trainer.loop.precision import choose_device  # noqa: PLC0415
    from latexify.trainer.model.model import load_model  # noqa: PLC0415

    loaded = load_model(folder)
    loaded.model.to(choose_device(device))
    backward_start_id = _backward_start_id(loaded.model.config.to_dict(), manifest)
    geometry = loaded.geometry
    inference = replace(make_inference_model(loaded), backward_start_id=backward_start_id, geometry=geometry)
    return TrainedModel(inference=inference, texts=loaded.texts, geometry=geometry, manifest=manifest)

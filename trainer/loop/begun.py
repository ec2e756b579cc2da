"""Runs that were begun, maybe on another machine: what `auto` then meant, it means until they are done."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from latexify.artifacts.manifest import Manifest, read_manifest
from latexify.artifacts.names import MANIFEST_NAME, MODEL
from latexify.common.errors import LatexifyError
from latexify.trainer.config import TrainParams
from latexify.trainer.loop.checkpoint import CheckpointFolder
from latexify.trainer.loop.precision import Precision, is_native
from latexify.trainer.loop.ranks import Ranks

CHOSEN_HERE = ("precision", "micro_batch")
"""Parameters of `train` that can be `auto`, and then follow from the machine."""


def agree(precision: Precision, *, ranks: Ranks) -> Precision:
    """One precision for all ranks, whose machines may differ: where they do, the one that all of them compute fast."""
    if len(set(ranks.gather(precision.name))) == 1:
        return precision
    return replace(precision, name="fp16" if precision.device.type == "cuda" else "fp32")


def settle(
    params: TrainParams, precision: Precision, *, wanted: Manifest, runs: Path, ranks: Ranks
) -> tuple[TrainParams, Precision]:
    """Put in place of `auto` what the run was begun with, if it was begun; the same on every rank.

    precision: what this machine would choose. wanted: the manifest that follows from it.

    Raises LatexifyError, on every rank, where the run was begun in a precision that a device here only emulates.
    """
    free = {name for name in CHOSEN_HERE if getattr(params, name) == "auto"}
    begun = ranks.gather(find_begun(runs, wanted, free=free) if free and ranks.is_main else None)[0]
    if begun is None:
        return params, precision
    error = None
    kept = precision
    if "precision" in free:
        kept = replace(precision, name=begun.params["train"]["precision"])
        if not is_native(kept.name, device=kept.device):
            error = LatexifyError(
                f"{runs / begun.fingerprint} was begun in {kept.name}, which the {kept.device.type} of this machine "
                f"does not compute in: go on where one does, or set train.precision to {kept.name} (slow here), "
                f"or to {precision.name} for a new run"
            )
    error = ranks.first_error(error)
    if error is not None:
        raise error
    if "micro_batch" in free and "micro_batch" in begun.params["train"]:  # it is named where it shapes the result
        params = params.model_copy(update={"micro_batch": begun.params["train"]["micro_batch"]})
    return params, kept


def find_begun(runs: Path, wanted: Manifest, *, free: Collection[str]) -> Manifest | None:
    """The manifest of the run that has a checkpoint and is `wanted` but for the parameters `free` of `train`.

    Of several it is `wanted` itself, else the one that came farthest, else the one whose folder's name comes first.
    """
    found: list[tuple[bool, int, Manifest]] = []
    for path in sorted(runs.glob(f"*/{MANIFEST_NAME}")):
        try:
            manifest = read_manifest(path.parent, MODEL)
        except LatexifyError:  # a damaged folder among old runs must not keep a new one from starting
            continue
        step = CheckpointFolder(path.parent, keep=1).latest_step
        if step is not None and _without(manifest, free) == _without(wanted, free):
            found.append((manifest.fingerprint == wanted.fingerprint, step, manifest))
    return max(found, key=lambda one: one[:2])[2] if found else None


def _without(manifest: Manifest, free: Collection[str]) -> Mapping[str, Any]:
    train = {name: value for name, value in manifest.params["train"].items() if name not in free}
    return {
        "version": manifest.version,
        "inputs": dict(manifest.inputs),
        "params": {**manifest.params, "train": train},
    }

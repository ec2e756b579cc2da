"""Going on from another run: what may differ, what may differ if it is meant to, and what must not."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from latexify.artifacts.manifest import Manifest, read_manifest
from latexify.artifacts.names import MODEL
from latexify.common.errors import LatexifyError

ACCEPTABLE = frozenset(
    f"train.{name}"
    for name in (
        "augment_strength",
        "beta2",
        "max_grad_norm",
        "dropout",
        "ema_decay",
        "label_smoothing",
        "learning_rate",
        "log_steps",
        "max_hours",
        "max_steps",
        "micro_batch",
        "early_stopping_patience",
        "precision",
        "schedule",
        "validate_samples",
        "validate_steps",
        "warmup_steps",
        "weight_decay",
    )
)
"""What may change half-way: the run that goes on is another, but it is a run. The rest decides which weights there are,
what they read, or in which order: going on would give a model that no parameters describe."""


def read_origin(folder: Path) -> Manifest:
    """The manifest of the run to go on from. Raises LatexifyError where the folder holds none."""
    return read_manifest(folder, MODEL)


def check_continues(origin: Manifest, wanted: Manifest, *, folder: Path, accepted: Collection[str]) -> None:
    """Refuse to go on from `origin` unless every difference is accepted by name and can be.

    accepted: names such as `max_steps`, parameters of the section `train`.

    Raises LatexifyError that lists all differences, one a line, and what to do about each.
    """
    names = {f"train.{name}" for name in accepted}
    unknown = sorted(names - ACCEPTABLE)
    problems = [f"{name}: cannot be accepted by train.resume_changes" for name in unknown]
    for name, there, here in _differences(origin, wanted):
        if name in names & ACCEPTABLE:
            continue
        problems.append(f"{name}: {there!r} there, {here!r} here ({_remedy(name)})")
    if problems:
        raise LatexifyError(
            f"{folder} cannot be continued (train.resume_from): {len(problems)} obstacle(s)\n"
            + "\n".join(f"  {problem}" for problem in problems)
        )


def _remedy(name: str) -> str:
    if name in ACCEPTABLE:
        return f"set it back, or add `{name.removeprefix('train.')}` to train.resume_changes"
    if name == "version":
        return "another version of latexify wrote it: start from its model instead, with model.base"
    return "set it back, or start from its model instead, with model.base"


def _differences(origin: Manifest, wanted: Manifest) -> Iterator[tuple[str, Any, Any]]:
    """Name, value there and value here of each field in which two recipes differ."""
    there, here = _fields(origin), _fields(wanted)
    for name in sorted(there.keys() | here.keys()):
        if there.get(name) != here.get(name):
            yield name, there.get(name), here.get(name)


def _fields(manifest: Manifest) -> dict[str, Any]:
    """The recipe of a run, flat."""
    inputs = {name: value for name, value in manifest.inputs.items() if name != "run"}
    return {"version": manifest.version, **_flat(manifest.params), **_flat({"inputs": inputs})}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat

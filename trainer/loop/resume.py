"""What a run continues: its own checkpoint, or another run that ``train.resume_from`` names."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from latexify.artifacts.manifest import Manifest, read_manifest
from latexify.artifacts.names import MANIFEST_NAME, MODEL
from latexify.common.errors import LatexifyError
from latexify.common.renamed import RENAMED_PARAMS, with_current_names
from latexify.trainer.config import TrainParams
from latexify.trainer.loop.checkpoint import CheckpointFolder, RunState
from latexify.trainer.loop.precision import Precision, is_native
from latexify.trainer.loop.ranks import Ranks

AUTO_PARAMS = ("precision", "micro_batch")
"""Parameters of `train` that can be `auto`; the machine then decides their value."""
CHANGEABLE = frozenset(
    f"train.{name}"
    for names in (
        ("learning_rate", "schedule", "warmup_steps", "weight_decay", "beta2", "max_grad_norm"),
        ("augment_strength", "dropout", "ema_decay", "label_smoothing"),
        ("max_steps", "max_hours", "early_stopping_patience", "log_steps", "validate_samples", "validate_steps"),
        ("micro_batch", "precision"),
    )
    for name in names
)
"""Parameters that `train.resume_changes` accepts. The others decide which weights there are, what they read, or in
which order: a run that changed them half-way would give a model that no parameters describe."""


class StartedRun(NamedTuple):
    """A run that has a checkpoint."""

    folder: Path
    manifest: Manifest  # with the current names of all parameters
    step: int


class LoadedCheckpoint(NamedTuple):
    """Where a run stands, and the tensors of its checkpoint by what they belong to."""

    state: RunState
    tensors: dict[str, Any]  # empty if the run is finished: nothing is left to train
    source: Path | None = None  # folder of another run that it comes from; None for the run's own checkpoint


def common_precision(precision: Precision, *, ranks: Ranks) -> Precision:
    """Choose one precision for all ranks: where their machines differ, one that every machine computes fast."""
    if len(set(ranks.gather(precision.name))) == 1:
        return precision
    return replace(precision, name="fp16" if precision.device.type == "cuda" else "fp32")


def keep_auto_choices(
    params: TrainParams, precision: Precision, *, planned: Manifest, runs: Path, ranks: Ranks
) -> tuple[TrainParams, Precision]:
    """Keep the resolved values of `auto` when a run resumes, maybe on another machine; the same on every rank.

    `precision` is what this machine would choose, and `planned` the manifest that follows from it.

    Raises:
        LatexifyError: On every rank, if the run was started in a precision that a device here only emulates.
    """
    auto = {name for name in AUTO_PARAMS if getattr(params, name) == "auto"}
    started = ranks.gather(find_started_run(runs, planned, auto=auto) if auto and ranks.is_main else None)[0]
    if started is None:
        return params, precision
    values = started.manifest.params["train"]
    kept = replace(precision, name=values["precision"]) if "precision" in auto else precision
    with ranks.share_errors():
        if "precision" in auto and not is_native(kept.name, device=kept.device):
            raise LatexifyError(
                f"{started.folder} was started in {kept.name}, which the {kept.device.type} of this machine does not "
                f"support natively: resume on a machine that does, or set train.precision to {kept.name} (slow here), "
                f"or to {precision.name} for a new run"
            )
    if "micro_batch" in auto and "micro_batch" in values:  # only manifests of models with batch norms name it
        params = params.model_copy(update={"micro_batch": values["micro_batch"]})
    return params, kept


def find_started_run(runs: Path, planned: Manifest, *, auto: Collection[str]) -> StartedRun | None:
    """Find the run that has a checkpoint and equals `planned` except for the parameters `auto` of `train`.

    Of several it is `planned` itself, else the one with the most steps, else the one whose folder's name comes first.
    """
    matches = [run for run in _started_runs(runs) if _without(run.manifest, auto) == _without(planned, auto)]
    return max(matches, key=lambda run: (run.manifest.fingerprint == planned.fingerprint, run.step), default=None)


def _started_runs(runs: Path) -> Iterator[StartedRun]:
    for path in sorted(runs.glob(f"*/{MANIFEST_NAME}")):
        try:
            manifest = read_manifest(path.parent, MODEL)
            step = CheckpointFolder(path.parent, keep=1).latest_step
        except LatexifyError:  # a damaged folder among old runs must not keep a new one from starting
            continue
        if step is not None:
            yield StartedRun(path.parent, _with_current_names(manifest), step)


def _with_current_names(manifest: Manifest) -> Manifest:
    return replace(manifest, params=with_current_names(manifest.params))


def _without(manifest: Manifest, names: Collection[str]) -> Mapping[str, Any]:
    train = {name: value for name, value in manifest.params["train"].items() if name not in names}
    return {"version": manifest.version, "inputs": manifest.inputs, "params": {**manifest.params, "train": train}}


def find_checkpoint(
    checkpoints: CheckpointFolder, params: TrainParams, *, manifest: Manifest, ranks: Ranks
) -> LoadedCheckpoint | None:
    """Load the checkpoint that a run continues, the same on every rank.

    It is the run's own latest one, else that of the same run under old parameter names, else the latest of
    `train.resume_from`, else None.

    Raises:
        LatexifyError: On every rank, if the checkpoint is damaged, the ranks see different checkpoints, or the run of
            `train.resume_from` has no checkpoint or differs in what must not change.
    """
    with ranks.share_errors():
        loaded = (
            _find_own(checkpoints)
            or _find_renamed(checkpoints, manifest=manifest, ranks=ranks)
            or _find_origin(checkpoints, params, manifest=manifest, ranks=ranks)
        )
    if len(set(ranks.gather(loaded and loaded.state.step))) > 1:
        raise LatexifyError(
            f"not all ranks see the same checkpoints in {checkpoints.folder}: put --root on a file system that all "
            "machines share"
        )
    return loaded


def _find_own(checkpoints: CheckpointFolder) -> LoadedCheckpoint | None:
    loaded = _finished_or_latest(checkpoints)
    if loaded is None:
        return None
    if loaded.state.best is not None:
        checkpoints.require_best(loaded.state.best.step)  # better now than after days of training
    return loaded


def _finished_or_latest(checkpoints: CheckpointFolder) -> LoadedCheckpoint | None:
    finished = checkpoints.load_finished()
    if finished is not None:
        return LoadedCheckpoint(finished, {})
    latest = checkpoints.load_latest()
    return None if latest is None else LoadedCheckpoint(*latest)


def _find_renamed(checkpoints: CheckpointFolder, *, manifest: Manifest, ranks: Ranks) -> LoadedCheckpoint | None:
    """Load from the run that would have this fingerprint, had its parameters been renamed already."""
    for run in _started_runs(checkpoints.folder.parent):
        stored = read_manifest(run.folder, MODEL).fingerprint
        if run.manifest.fingerprint == manifest.fingerprint != stored:
            loaded = _finished_or_latest(CheckpointFolder(run.folder, keep=1))
            assert loaded is not None, "a started run has a checkpoint"
            return _take_over(loaded, run.folder, checkpoints, ranks=ranks)
    return None


def _find_origin(
    checkpoints: CheckpointFolder, params: TrainParams, *, manifest: Manifest, ranks: Ranks
) -> LoadedCheckpoint | None:
    if params.resume_from is None:
        return None
    folder = Path(params.resume_from)
    check_continues(read_manifest(folder, MODEL), manifest, folder=folder, accepted=params.resume_changes)
    latest = CheckpointFolder(folder, keep=1).load_latest()
    if latest is None:
        raise LatexifyError(
            f"{folder} holds no checkpoint (`latexify runs remove` leaves none of a finished run): start from its "
            "model instead, with model.base, or correct train.resume_from"
        )
    loaded = _take_over(LoadedCheckpoint(*latest), folder, checkpoints, ranks=ranks)
    loaded.state.finished = False
    return loaded


def _take_over(
    loaded: LoadedCheckpoint, folder: Path, checkpoints: CheckpointFolder, *, ranks: Ranks
) -> LoadedCheckpoint:
    """Copy the best weights that a state of the run in `folder` refers to into `checkpoints`."""
    best = loaded.state.best
    if best is not None and ranks.is_main:
        checkpoints.save_best(best.step, CheckpointFolder(folder, keep=1).load_best(best.step))
    return loaded._replace(source=folder)


def check_continues(origin: Manifest, planned: Manifest, *, folder: Path, accepted: Collection[str]) -> None:
    """Check that `planned`, a run that is to start, may continue `origin`, the run in `folder`.

    accepted: parameters of the section `train` that may differ, such as `max_steps`.

    Raises:
        LatexifyError: If anything else differs, or a name cannot be accepted; lists all differences, one a line, and
            what to do about each.
    """
    names = {f"train.{name}" for name in accepted}
    problems = [_why_not_accepted(name) for name in sorted(names - CHANGEABLE)]
    there, here = _fields(_with_current_names(origin)), _fields(planned)
    problems += [
        f"{name}: {there.get(name)!r} there, {here.get(name)!r} here ({_remedy(name)})"
        for name in sorted(there.keys() | here.keys())
        if there.get(name) != here.get(name) and name not in names & CHANGEABLE
    ]
    if problems:
        raise LatexifyError(
            f"{folder} cannot be continued (train.resume_from): {len(problems)} obstacle(s)\n"
            + "\n".join(f"  {problem}" for problem in problems)
        )


def _why_not_accepted(name: str) -> str:
    if name in RENAMED_PARAMS:
        return f"{name}: is now called {RENAMED_PARAMS[name]}; use that name in train.resume_changes"
    return f"{name}: cannot be accepted by train.resume_changes"


def _remedy(name: str) -> str:
    if name in CHANGEABLE:
        return f"set it back, or add `{name.removeprefix('train.')}` to train.resume_changes"
    what = "another version of latexify wrote it:" if name == "version" else "set it back, or"
    return f"{what} start from its model instead, with model.base"


def _fields(manifest: Manifest) -> dict[str, Any]:
    """Flatten what a run was made from into dotted names."""
    inputs = {name: value for name, value in manifest.inputs.items() if name != "run"}
    return _flat({"version": manifest.version, **manifest.params, "inputs": inputs})


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return flat

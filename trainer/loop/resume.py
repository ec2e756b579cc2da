"""Where a training goes on: its own latest checkpoint, else that of the run it is to continue."""

from pathlib import Path
from typing import Any

from latexify.artifacts.manifest import Manifest
from latexify.common.errors import LatexifyError
from latexify.trainer.config import TrainParams
from latexify.trainer.loop.checkpoint import CheckpointFolder, RunState
from latexify.trainer.loop.lineage import check_continues, read_origin
from latexify.trainer.loop.ranks import Ranks

Found = tuple[RunState, dict[str, Any]]
"""Where a run stands, and the tensors of its checkpoint by what they belong to."""


def find_checkpoint(
    checkpoints: CheckpointFolder, params: TrainParams, *, manifest: Manifest, folder: Path, ranks: Ranks
) -> Found | None:
    """The latest checkpoint of `folder`, else the latest of `train.resume_from`, else None; the same on every rank.

    checkpoints: those of `folder`. manifest: of the run that is to go on.

    Raises LatexifyError, on every rank, where it is damaged, where not all ranks see the same, or where the run to
    continue differs in what must not, or has no checkpoint.
    """
    error, found = None, None
    try:
        found = _find_own(checkpoints) or _find_origin(checkpoints, params, manifest=manifest, ranks=ranks)
    except LatexifyError as damaged:
        error = damaged
    error = ranks.first_error(error)
    if error is not None:
        raise error
    if len(set(ranks.gather(found and found[0].step))) > 1:
        raise LatexifyError(
            f"not all ranks see the same checkpoints in {folder}: put --root on a file system that all machines share"
        )
    return found


def _find_own(checkpoints: CheckpointFolder) -> Found | None:
    found = checkpoints.load_latest()
    if found is not None and found[0].best is not None:
        checkpoints.require_best(found[0].best.step)  # not after days of training
    return found


def _find_origin(
    checkpoints: CheckpointFolder, params: TrainParams, *, manifest: Manifest, ranks: Ranks
) -> Found | None:
    """That of the run to continue; its best weights are copied to `checkpoints`, since its state speaks of them."""
    if params.resume_from is None:
        return None
    folder = Path(params.resume_from)
    origin = CheckpointFolder(folder, keep=1)
    check_continues(read_origin(folder), manifest, folder=folder, accepted=params.resume_changes)
    found = origin.load_latest()
    if found is None:
        raise LatexifyError(f"{folder} holds no checkpoint: correct train.resume_from, or remove it")
    state, tensors = found
    if state.best is not None and ranks.is_main:
        checkpoints.save_best(state.best.step, origin.load_best(state.best.step))
    state.finished = False
    return state, tensors

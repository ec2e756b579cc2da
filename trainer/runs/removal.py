"""Removes what trainings leave behind, and never what a run needs to go on."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from latexify.artifacts.draft import sole_writer
from latexify.common.errors import LatexifyError
from latexify.trainer.runs.files import FINISHED_NAME, best_path, bests_in, checkpoints_in, is_whole
from latexify.trainer.runs.listing import Run, list_runs, read_run


@dataclass(frozen=True, kw_only=True)
class Removal:
    """What is to be removed of a run."""

    folder: Path
    files: tuple[Path, ...]
    is_whole_folder: bool
    consequence: str  # one line

    @property
    def num_bytes(self) -> int:
        """The room that this makes."""
        return sum(path.stat().st_size for path in self.files)


def choose_runs(runs: Path, names: Sequence[str], *, finished: bool) -> list[Run]:
    """Return the named runs, and all finished ones if `finished`, each once.

    names: a folder, its name, or the beginning of it. Raises LatexifyError if one names no run, or several.
    """
    known, _ = list_runs(runs)
    chosen = {run.folder: run for run in known if finished and run.is_finished}
    for name in names:
        start = Path(name).name
        matches = [run for run in known if start and run.folder.name.startswith(start)]
        matches = [run for run in matches if run.folder.name == start] or matches
        if len(matches) != 1:
            raise LatexifyError(_not_one(name, matches, runs))
        chosen[matches[0].folder] = matches[0]
    return list(chosen.values())


def _not_one(name: str, matches: Sequence[Run], runs: Path) -> str:
    if not matches:
        return f"no run in {runs} has a name that begins with {name}: `latexify runs list` shows them"
    found = ", ".join(run.folder.name for run in matches)
    return f"{name} is the beginning of {len(matches)} runs in {runs} ({found}): name one"


def plan_removal(run: Run, *, whole: bool) -> Removal:
    """Choose what to remove of a run: what neither its next start nor the export needs, or all of it if `whole`.

    Raises LatexifyError if the run is not finished and `whole`, or if nothing of it would be left to go on from.
    """
    if whole:
        return _plan_whole(run)
    if (run.folder / FINISHED_NAME).exists():
        return _plan_finished(run)
    return _plan_unfinished(run)


def remove(removal: Removal) -> None:
    """Remove it. Raises LatexifyError if a training of the run goes on."""
    with sole_writer(removal.folder):
        if removal.is_whole_folder:
            shutil.rmtree(removal.folder)
            return
        # a training may have come and gone since the plan was made
        if plan_removal(read_run(removal.folder), whole=False) != removal:
            raise LatexifyError(f"{removal.folder} has changed in the meantime: run the same command again")
        for path in removal.files:
            path.unlink()


def _plan_whole(run: Run) -> Removal:
    if not run.is_finished:
        raise LatexifyError(
            f"{run.folder} is not finished (step {run.step} of {run.max_steps}): its latest checkpoint is never "
            f"removed by this command; to give the run up, delete the folder"
        )
    return Removal(
        folder=run.folder,
        files=tuple(sorted(path for path in run.folder.rglob("*") if path.is_file())),
        is_whole_folder=True,
        consequence="`latexify train` with its parameters trains again from the beginning",
    )


def _plan_finished(run: Run) -> Removal:
    """Keep the best model and where the run stands: all that exporting it again needs."""
    state = json.loads((run.folder / FINISHED_NAME).read_text(encoding="utf-8"))["state"]
    best = best_path(run.folder, state["best"]["step"])
    if not is_whole(best):
        raise LatexifyError(f"{best}, the best model of a finished run, is missing or damaged: only --whole removes it")
    others = [path for path in bests_in(run.folder).values() if path != best]
    return Removal(
        folder=run.folder,
        files=tuple(sorted([*checkpoints_in(run.folder).values(), *others])),
        is_whole_folder=False,
        consequence="it keeps its best model and can be exported again; train.resume_from cannot continue it",
    )


def _plan_unfinished(run: Run) -> Removal:
    """Keep the latest whole checkpoint, and the best model that it refers to."""
    checkpoints, bests = checkpoints_in(run.folder), bests_in(run.folder)
    latest = next((step for step in sorted(checkpoints, reverse=True) if is_whole(checkpoints[step])), None)
    if latest is None:
        raise LatexifyError(f"{run.folder} holds no whole checkpoint: nothing of it is removed; delete the folder")
    best = max((step for step in bests if step <= latest), default=None)
    files = [path for step, path in checkpoints.items() if step != latest]
    files += [path for step, path in bests.items() if step != best]
    return Removal(
        folder=run.folder,
        files=tuple(sorted(files)),
        is_whole_folder=False,
        consequence=f"it goes on from step {latest}",
    )

"""Writes a run to Weights & Biases; without a key it stays offline, in the run's folder, for `wandb sync`."""

import os
from collections.abc import Mapping, Sequence

import wandb
from typing_extensions import override

from latexify.trainer.tracking.callback import Example, RunFacts
from latexify.trainer.tracking.tracker import TrackerBase, caption

PROJECT = "latexify"  # unless WANDB_PROJECT names another
TIMEOUT_S = 30


class Tracker(TrackerBase):
    """Writes parameters, metrics and pictures. WANDB_MODE, WANDB_PROJECT and the others of its variables count."""

    def __init__(self, run: RunFacts) -> None:
        super().__init__(run, name="wandb")
        is_known = bool(os.environ.get("WANDB_API_KEY") or wandb.api.api_key)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=run.fingerprint,
            id=run.fingerprint,
            resume="allow",
            mode=None if "WANDB_MODE" in os.environ or is_known else "offline",
            dir=str(run.folder),
            config=dict(run.params),
            settings=wandb.Settings(silent=True, init_timeout=TIMEOUT_S, console="off"),
        )

    @override
    def write_row(self, row: Mapping[str, float], *, step: int) -> None:
        self._run.log(dict(row), step=step)

    @override
    def write_examples(self, examples: Sequence[Example], *, step: int) -> None:
        pictures = [wandb.Image(example.pixels, caption=caption(example)) for example in examples]
        self._run.log({"examples": pictures}, step=step)

    @override
    def on_end(self, *, is_finished: bool) -> None:
        self._run.finish(exit_code=0 if is_finished else 1)

"""Writes a run with DVCLive, into ``dvclive`` in its folder."""

from collections.abc import Mapping, Sequence

import numpy as np
from dvclive import Live
from typing_extensions import override

from latexify.trainer.tracking.callback import Example, RunFacts
from latexify.trainer.tracking.tracker import TrackerBase, caption


class Tracker(TrackerBase):
    """Writes metrics and pictures. It leaves experiments and commits to `dvc exp run`."""

    def __init__(self, run: RunFacts) -> None:
        super().__init__(run, name="dvclive")
        folder = run.folder / "dvclive"
        resumes = (folder / "metrics.json").exists()
        self._live = Live(str(folder), resume=resumes, save_dvc_exp=False, dvcyaml=None, monitor_system=False)

    @override
    def write_row(self, row: Mapping[str, float], *, step: int) -> None:
        self._live.step = step
        for name, value in row.items():
            self._live.log_metric(name, value)
        self._live.make_summary()

    @override
    def write_examples(self, examples: Sequence[Example], *, step: int) -> None:
        self._live.step = step
        for number, example in enumerate(examples):
            self._live.log_image(f"step-{step:08d}-{number}.png", np.asarray(example.pixels))
        readings = self.run.folder / "dvclive" / "readings"
        readings.mkdir(parents=True, exist_ok=True)
        text = "".join(f"{caption(example)}\n" for example in examples)
        (readings / f"step-{step:08d}.txt").write_text(text, encoding="utf-8")

    @override
    def on_end(self, *, is_finished: bool) -> None:
        self._live.end()

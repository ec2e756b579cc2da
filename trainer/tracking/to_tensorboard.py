"""Writes a run for TensorBoard, into ``tensorboard`` in its folder."""

from collections.abc import Mapping, Sequence

from torch.utils.tensorboard import SummaryWriter
from typing_extensions import override

from latexify.trainer.tracking.callback import Example, RunFacts
from latexify.trainer.tracking.tracker import TrackerBase, caption


class Tracker(TrackerBase):
    """Writes scalars, pictures and texts."""

    def __init__(self, run: RunFacts) -> None:
        super().__init__(run, name="tensorboard")
        self._writer = SummaryWriter(str(run.folder / "tensorboard"))

    @override
    def write_row(self, row: Mapping[str, float], *, step: int) -> None:
        for name, value in row.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    @override
    def write_examples(self, examples: Sequence[Example], *, step: int) -> None:
        for number, example in enumerate(examples):
            name = f"example {number}"
            self._writer.add_image(name, example.pixels, step, dataformats="HW")
        text = "\n\n".join(f"`{caption(example)}`" for example in examples)
        self._writer.add_text("readings", text, step)
        self._writer.flush()

    @override
    def on_end(self, *, is_finished: bool) -> None:
        self._writer.close()

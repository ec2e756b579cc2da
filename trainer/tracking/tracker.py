"""What all trackers have in common: each row and each picture is written once, over all sessions of a run."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from typing_extensions import override

from latexify.artifacts.files import write_json
from latexify.trainer.tracking.callback import Callback, Example, HistoryRow, RunFacts

MAX_CAPTION_CHARS = 200


class TrackerBase(Callback):
    """Writes the history, and pictures with their readings at each validation.

    A run that was killed trains again from its checkpoint, with the same results. So the tracker notes the last step
    that it wrote, before it writes, and leaves out what comes again. A run that resumes without the tracker and then
    with it gets the rows that are missing.

    Args:
        run: The run.
        name: Of the tracker, and of its file ``tracking-{name}.json`` in the run's folder.
    """

    def __init__(self, run: RunFacts, *, name: str) -> None:
        self.run = run
        self._path = run.folder / f"tracking-{name}.json"
        self._state = _read(self._path)

    @property
    def known_id(self) -> str | None:
        """The id that the tracker's store gave to the run in an earlier session."""
        return self._state.get("id")

    def remember_id(self, run_id: str) -> None:
        """Keep the id for the next session."""
        self._note(id=run_id)

    def write_row(self, row: Mapping[str, float], *, step: int) -> None:
        """Write the values of a row, which are all numbers."""
        raise NotImplementedError

    def write_examples(self, examples: Sequence[Example], *, step: int) -> None:
        """Write pictures with their readings."""
        raise NotImplementedError

    @override
    def on_start(self, run: RunFacts, rows: Sequence[HistoryRow]) -> None:
        for row in rows:
            self.on_row(row)

    @override
    def on_row(self, row: HistoryRow) -> None:
        step = int(row["step"] or 0)
        if step > self._state.get("row", 0):
            self._note(row=step)
            values = {name: float(value) for name, value in row.items() if name != "step" and value is not None}
            self.write_row(values, step=step)

    @override
    def on_validation(self, step: int, *, loss: float, cer: float, is_best: bool, examples: Sequence[Example]) -> None:
        if step > self._state.get("examples", 0):
            self._note(examples=step)
            self.write_examples(examples, step=step)

    def _note(self, **values: Any) -> None:
        self._state.update(values)
        write_json(self._path, self._state)


def caption(example: Example) -> str:
    """Say what is written and how it was read."""
    return f"{example.reference}  read as  {example.prediction or '(nothing)'}"[:MAX_CAPTION_CHARS]


def flat(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested parameters by dotted names."""
    values: dict[str, Any] = {}
    for name, value in params.items():
        values |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return values


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

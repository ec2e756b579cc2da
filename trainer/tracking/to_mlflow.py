"""Writes a run to MLflow: to the server that ``MLFLOW_TRACKING_URI`` names, or into ``runs/mlruns``."""

import os
import time
from collections.abc import Mapping, Sequence

from typing_extensions import override

from latexify.trainer.tracking.callback import Example, RunFacts
from latexify.trainer.tracking.tracker import TrackerBase, caption, flat

# set before the import. MLflow asks for the first where it writes to a folder; by the others, a server that does not
# answer costs seconds, not the minutes of its defaults
_SETTINGS = {
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
for _name, _value in _SETTINGS.items():
    os.environ.setdefault(_name, _value)

from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Metric, Param  # noqa: E402

EXPERIMENT = "latexify"  # unless MLFLOW_EXPERIMENT_NAME names another
MAX_VALUE_CHARS = 500


class Tracker(TrackerBase):
    """Writes parameters, metrics, pictures and texts."""

    def __init__(self, run: RunFacts) -> None:
        super().__init__(run, name="mlflow")
        uri = os.environ.get("MLFLOW_TRACKING_URI") or (run.folder.parent / "mlruns").resolve().as_uri()
        self._client = MlflowClient(tracking_uri=uri)
        if self.known_id is None:
            self.remember_id(self._create(run))
        assert self.known_id is not None
        self._id = self.known_id
        self._client.update_run(self._id, status="RUNNING")

    def _create(self, run: RunFacts) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        experiment = self._client.get_experiment_by_name(name)
        number = experiment.experiment_id if experiment else self._client.create_experiment(name)
        created = self._client.create_run(number, run_name=run.fingerprint)
        params = [Param(key, str(value)[:MAX_VALUE_CHARS]) for key, value in flat(run.params).items()]
        self._client.log_batch(created.info.run_id, params=params)
        return str(created.info.run_id)

    @override
    def write_row(self, row: Mapping[str, float], *, step: int) -> None:
        now_ms = int(time.time() * 1000)
        self._client.log_batch(self._id, metrics=[Metric(name, value, now_ms, step) for name, value in row.items()])

    @override
    def write_examples(self, examples: Sequence[Example], *, step: int) -> None:
        for number, example in enumerate(examples):
            self._client.log_image(self._id, example.pixels, key=f"example {number}", step=step)
        self._client.log_text(self._id, "\n".join(map(caption, examples)), f"readings/step-{step:08d}.txt")

    @override
    def on_end(self, *, is_finished: bool) -> None:
        self._client.set_terminated(self._id, status="FINISHED" if is_finished else "KILLED")

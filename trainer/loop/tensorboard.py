"""The curve in TensorBoard, for whoever watches many runs at once. Its package is an extra."""

import importlib
import shutil
from pathlib import Path
from typing import Any

from latexify.common.extras import missing_extra
from latexify.trainer.loop.history import Row

FOLDER_NAME = "tensorboard"


class Board:
    """Writes rows of the curve as scalars into `folder`/tensorboard.

    Opened anew it writes all rows again from the first, so a resumed run has each point once.

    Raises LatexifyError where the package is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            module = importlib.import_module("torch.utils.tensorboard")
        except ImportError:
            raise missing_extra("tensorboard", package="tensorboard", needed_by="--tensorboard") from None
        target = folder / FOLDER_NAME
        shutil.rmtree(target, ignore_errors=not target.exists())
        self._writer: Any = module.SummaryWriter(str(target))
        self._num_written = 0

    def write(self, rows: list[Row]) -> None:
        """Write those of all `rows` that are new."""
        for row in rows[self._num_written :]:
            for name, value in row.items():
                if name != "step" and value is not None:
                    self._writer.add_scalar(name, value, row["step"])
        self._num_written = len(rows)
        self._writer.flush()

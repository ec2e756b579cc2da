"""Opens the callbacks of a training and calls them; one that fails is left out, and the training goes on."""

import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from latexify.common.errors import LatexifyError, first_line
from latexify.common.extras import Extra, missing_extra
from latexify.trainer.tracking.callback import Callback, RunFacts

TRACKERS: dict[Extra, str] = {
    "tensorboard": "latexify.trainer.tracking.to_tensorboard",
    "mlflow": "latexify.trainer.tracking.to_mlflow",
    "wandb": "latexify.trainer.tracking.to_wandb",
    "dvclive": "latexify.trainer.tracking.to_dvclive",
}
"""Module of each value of `train.log_to`, with its class `Tracker`. The extra has the same name."""


class Callbacks:
    """Callbacks by name, of which each one that fails is left out. log: prints a line."""

    def __init__(self, members: dict[str, Callback], *, log: Callable[[str], None]) -> None:
        self._members, self._log = dict(members), log

    def call(self, event: str, *arguments: Any, **named: Any) -> None:
        """Call the method `event` of every callback; what one of them raises is a line, and turns that one off."""
        for name, callback in list(self._members.items()):
            try:
                getattr(callback, event)(*arguments, **named)
            except Exception as error:  # noqa: BLE001  # foreign code: it must not end a training of days
                del self._members[name]
                self._log(f"train: without {name} from here on ({type(error).__name__}: {first_line(error)})")


def open_callbacks(
    log_to: Sequence[Extra], named: Sequence[str], *, run: RunFacts, log: Callable[[str], None]
) -> Callbacks:
    """Open the trackers of `train.log_to` and the callbacks of `train.callbacks`; a missing package is a line.

    Raises LatexifyError if a named callback cannot be imported: that is a mistake in params.yaml.
    """
    members: dict[str, Callback] = {}
    for name in dict.fromkeys(log_to):
        try:
            members[name] = importlib.import_module(TRACKERS[name]).Tracker(run)
        except ModuleNotFoundError as error:
            log(f"train: without {name}: {missing_extra(name, package=error.name, needed_by='train.log_to')}")
        except Exception as error:  # noqa: BLE001  # as in `Callbacks.call`
            log(f"train: without {name} ({type(error).__name__}: {first_line(error)})")
    members |= {name: load_callback(name) for name in dict.fromkeys(named)}
    return Callbacks(members, log=log)


def load_callback(name: str) -> Callback:
    """Make the callback that ``module:Class`` names, of a module that is installed or lies in the current folder.

    Raises LatexifyError if there is none.
    """
    module, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        made = getattr(importlib.import_module(module), attribute)()
    except Exception as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise LatexifyError(f"train.callbacks: {name} cannot be made ({reason}): name it module:Class") from error
    if not isinstance(made, Callback):
        raise LatexifyError(f"train.callbacks: {name} is not a subclass of latexify.Callback")
    return made

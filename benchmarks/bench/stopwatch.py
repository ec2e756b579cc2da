"""Times functions while work that calls them runs. Imports nothing of ours, so that a stage keeps its own memory."""

import functools
import inspect
import pkgutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

REST = "the rest"
_END = object()


class Stopwatch:
    """Seconds by step; what a step calls that is a step of its own counts there alone. For one thread."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._running: list[str] = []
        self._since_s = 0.0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count what the block takes."""
        self.enter(name)
        try:
            yield
        finally:
            self.leave()

    def enter(self, name: str) -> None:
        """From here on the step runs."""
        self._count()
        self._running.append(name)

    def leave(self) -> None:
        """The step that began last is over."""
        self._count()
        self._running.pop()

    def _count(self) -> None:
        now_s = time.perf_counter()
        if self._running:
            step = self._running[-1]
            self.seconds[step] = self.seconds.get(step, 0.0) + now_s - self._since_s
        self._since_s = now_s


def time_steps(work: Callable[[], Any], steps: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Run `work`; seconds of each step, and of what belongs to none.

    steps: by the name of a step, the functions that it consists of (``module.function`` or ``module.Class.method``).
    They are replaced by timed ones while the work runs, wherever our own modules have imported them. A name that is not
    there is passed over, so that one list serves several versions; a step without any that is there is a LookupError.
    """
    watch = Stopwatch()
    undo: list[tuple[Any, str, Any]] = []
    try:
        for step, names in steps.items():
            places = [place for name in names for place in _places(name)]
            if not places:
                raise LookupError(f"step {step!r}: none of {', '.join(names)} is there any more")
            for owner, name, function in places:
                undo.append((owner, name, function))
                setattr(owner, name, _timed(function, step, watch))
        with watch.step(REST):
            work()
    finally:
        for owner, name, function in reversed(undo):
            setattr(owner, name, function)
    return {step: watch.seconds.get(step, 0.0) for step in (*steps, REST)}


def _places(path: str) -> list[tuple[Any, str, Any]]:
    """Every place (owner, attribute, function) of our modules where a function is found."""
    owner, name = _owner(path)
    function = getattr(owner, name, None)
    if function is None:
        return []
    if inspect.isclass(owner):
        return [(owner, name, function)]
    modules = [module for key, module in sys.modules.items() if key.partition(".")[0] in {"latexify", "benchmarks"}]
    return [(module, key, value) for module in modules for key, value in vars(module).items() if value is function]


def _owner(path: str) -> tuple[Any, str]:
    """The module or class that holds what `path` names (None where it is not there), and the last part of the path."""
    parent, _, name = path.rpartition(".")
    try:
        return pkgutil.resolve_name(parent), name
    except (ImportError, AttributeError):
        return None, name


def _timed(function: Callable[..., Any], step: str, watch: Stopwatch) -> Callable[..., Any]:
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def generator(*arguments: Any, **options: Any) -> Iterator[Any]:
            items = function(*arguments, **options)
            while True:
                with watch.step(step):
                    item = next(items, _END)
                if item is _END:
                    return
                yield item

        return generator

    @functools.wraps(function)
    def plain(*arguments: Any, **options: Any) -> Any:
        watch.enter(step)
        try:
            return function(*arguments, **options)
        finally:
            watch.leave()

    return plain

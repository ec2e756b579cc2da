"""What a benchmark measures, and how repeats are taken in turn so that a noisy machine is noisy for all alike."""

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One quantity, measured several times.

    part: the benchmark that it belongs to. inks: whose inks, empty where it does not depend on any. cores: how many
    CPUs it was allowed. values: one for each repeat, in their order, in `unit`.
    """

    part: str
    name: str
    unit: str
    values: list[float]
    inks: str = ""
    cores: int = 1

    @property
    def median(self) -> float:
        """Median of the repeats."""
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """Distance of the two middle quarters' ends, relative to the median: 0 where all repeats agree."""
        if len(self.values) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.values, n=4, method="inclusive")
        return (high - low) / self.median if self.median else 0.0


@dataclass(frozen=True, kw_only=True)
class Target:
    """What has to be reached: `value` at least, or at most, `limit`. inks: as in `Measured`."""

    name: str
    value: float
    limit: float
    unit: str
    at_least: bool
    inks: str = ""

    @property
    def is_met(self) -> bool:
        """Whether it is reached."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(frozen=True, kw_only=True)
class Job:
    """One call to time: run in the process of `pool`, it returns what it measured, by name.

    call, arguments: picklable. warm: takes the place of the call in the first round, which is not counted.
    """

    pool: Executor
    call: Callable[..., Mapping[str, float]]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    warm: Mapping[str, Any] = field(default_factory=dict)

    def run(self, *, is_warm_up: bool = False) -> Mapping[str, float]:
        """Call it and wait. `warm` overrides arguments in the warm-up."""
        arguments = {**self.arguments, **(self.warm if is_warm_up else {})}
        return self.pool.submit(self.call, **arguments).result()


def take_turns(jobs: Mapping[str, Job], *, repeats: int, title: str) -> dict[str, dict[str, list[float]]]:
    """Run every job once to warm up, then all of them `repeats` times in turn.

    Returns, by job and by name within it, the value of each repeat.
    """
    found: dict[str, dict[str, list[float]]] = {name: {} for name in jobs}
    for turn in range(-1, repeats):
        started = time.perf_counter()
        for name, job in jobs.items():
            values = job.run(is_warm_up=turn < 0)
            if turn >= 0:
                for key, value in values.items():
                    found[name].setdefault(key, []).append(value)
        say(f"{title}: {'warm-up' if turn < 0 else f'round {turn + 1} of {repeats}'}", time.perf_counter() - started)
    return found


def ratios(upper: Sequence[float], lower: Sequence[float]) -> list[float]:
    """Ratio of two rates, repeat by repeat: what slowed the machine down in one repeat slowed both."""
    return [a / b for a, b in zip(upper, lower, strict=True)]


def summed_rate(*rates: Sequence[float]) -> list[float]:
    """Rate of doing several things one after another, from the rate of each, repeat by repeat."""
    return [1 / sum(1 / rate for rate in turn) for turn in zip(*rates, strict=True)]


def say(text: str, elapsed_s: float | None = None) -> None:
    """Tell whoever waits what has been done."""
    print(text + (f", {elapsed_s:.1f} s" if elapsed_s is not None else ""), file=sys.stderr, flush=True)

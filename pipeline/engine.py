"""Where the tasks of a stage run: on this machine's processes or threads. It never changes a byte of what they make."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from joblib import Parallel
from joblib.externals.loky.process_executor import TerminatedWorkerError

from shards.errors import LatexifyError

Backend = Literal["loky", "threading", "sequential"]

Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]
"""What `joblib.delayed` makes."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Runs calls through joblib. jobs: how many at a time."""

    backend: Backend = "loky"
    jobs: int = 1

    def run(self, calls: Iterable[Call], *, in_order: bool) -> Iterator[Any]:
        """Yield the results as they come, or in the order of the calls; only a few calls and results are in memory.

        calls: taken one by one, a few ahead of the workers.

        Raises LatexifyError where a worker process dies.
        """
        parallel = Parallel(
            n_jobs=self.jobs,
            backend=self.backend,
            return_as="generator" if in_order else "generator_unordered",
            pre_dispatch="2 * n_jobs",
            batch_size=1,
            max_nbytes=None,  # arrays travel with their task: a file of them would outlive a killed run
        )
        try:
            yield from parallel(calls)
        except TerminatedWorkerError:
            raise LatexifyError(
                "a worker process died, most likely killed for want of memory: run the same command again, it goes on; "
                "with fewer --jobs if it happens again"
            ) from None

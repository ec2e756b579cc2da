"""Loader processes: signals, shutdown, and the error when one dies.

torch has no public way to end them before the end of an iteration, hence the private parts.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from latexify.common.errors import LatexifyError, first_line


def close_loader(batches: Iterator[object]) -> None:
    """End the loader processes of an iterator over :func:`latexify.trainer.data.batches.open_loader`.

    Call it whenever you leave the iterator before its end, also on an error. Otherwise Python sends the processes a
    SIGTERM when it exits, which they ignore, and waits for them for ever.
    """
    if not isinstance(batches, _MultiProcessingDataLoaderIter):
        return
    try:
        batches._shutdown_workers()  # noqa: SLF001
    except RuntimeError as error:
        if not _is_dead_worker(error):  # the others must end all the same
            raise
    finally:
        for worker in batches._workers:  # noqa: SLF001
            if worker.is_alive():
                worker.kill()
                worker.join()


def _is_dead_worker(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and "DataLoader worker" in str(error)


@contextmanager
def explain_dead_workers() -> Iterator[None]:
    """Raise one clear error for all that is raised when a loader process was killed.

    torch raises a RuntimeError from its signal handler. That may happen while we handle the other effect of such a
    death, the broken connection to the process that made a tensor.
    """
    try:
        try:
            yield
        except (ConnectionError, EOFError) as error:
            raise RuntimeError(f"DataLoader worker is gone: {error or type(error).__name__}") from error
    except RuntimeError as error:
        if not _is_dead_worker(error):
            raise
        raise LatexifyError(
            f"a loader process died ({first_line(error)}), most often because memory ran out: lower "
            f"train.loader_workers or train.micro_batch, then run the same command to go on"
        ) from None


def ignore_signals(_worker: int) -> None:
    """Leave Ctrl-C and a scheduler's SIGTERM, which reach the whole process group, to the parent.

    The parent needs its loader processes until the checkpoint is written. They end by `close_loader` or, if the parent
    is killed, by torch's watchdog. (torch itself sets one thread in its loader processes.)
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

"""A model in a process of its own, which is started again whenever it ends."""

import asyncio
import atexit
import multiprocessing
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from latexify.common.errors import LatexifyError
from latexify.serve.http.batching import Batcher, ModelEndedError, SearchOptions
from latexify.serve.http.models import child
from latexify.serve.http.models.loading import ModelOptions
from latexify.serve.recognizer import Picture, Recognition

STABLE_S = 60.0
"""A process that ends after this time is started again at once, an earlier one after a pause."""
MIN_PAUSE_S, MAX_PAUSE_S = 1.0, 60.0  # each pause is twice the one before
ENDING_S = 5.0  # for a process whose pipe is closed
ANSWER_TIMEOUT_S = 600.0
"""For a batch, and for loading a model. A process that takes longer hangs; its clients gave up long before."""
TERMINAL_SIGNALS = {signal.SIGINT, signal.SIGTERM}


class ModelProcess:
    """A model process, and the thread that talks with it. Belongs to one event loop.

    Attributes:
        name: Names it in metrics and messages.
        is_ready: Whether its model is loaded.
        pid: Number of the process, None while there is none.
    """

    def __init__(self, name: str, options: ModelOptions, *, fingerprint: str, on_end: Callable[[str], None]) -> None:
        """Set it up; `run` starts it.

        Args:
            name: See above.
            options: What its model is loaded with.
            fingerprint: That of the model that the others have; another model is refused.
            on_end: Gets a line for the user whenever the process has ended.
        """
        self.name = name
        self.is_ready = False
        self.pid: int | None = None
        self._options = options
        self._fingerprint = fingerprint
        self._on_end = on_end
        self._thread = ThreadPoolExecutor(1, f"model-{name}")
        self._lock = threading.Lock()
        self._is_closed = False
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None

    async def run(self, batcher: Batcher) -> None:
        """Let the process read batches, and start it again whenever it ends, until cancelled."""
        loop, pause_s = asyncio.get_running_loop(), 0.0
        while True:
            started_s = loop.time()
            try:
                await loop.run_in_executor(self._thread, self._start)
                self.is_ready = True
                await self._read_batches(batcher)
            except ModelEndedError:
                problem = await loop.run_in_executor(self._thread, self._how_it_ended)
            except LatexifyError as error:
                problem = str(error)
            finally:
                self.is_ready = False
            lived_long = loop.time() - started_s >= STABLE_S
            pause_s = 0.0 if lived_long else min(max(2 * pause_s, MIN_PAUSE_S), MAX_PAUSE_S)
            self._on_end(f"model process {self.name}: {problem}; it is started again in {pause_s:g} s")
            await loop.run_in_executor(self._thread, self._end)
            await asyncio.sleep(pause_s)

    def close(self) -> None:
        """End the process and the thread; no answer may be needed any more."""
        with self._lock:
            self._is_closed = True
            if self._process is not None:
                self._process.kill()
        self._thread.shutdown(cancel_futures=True)
        self._end()

    def _start(self) -> None:
        """Start the process and wait until its model is loaded. Raises LatexifyError if that fails."""
        context = multiprocessing.get_context("spawn")
        connection, its_end = context.Pipe()
        process = context.Process(target=child.run, args=(its_end, self._options), name="latexify model", daemon=True)
        with its_end, self._lock:
            if self._is_closed:
                raise ModelEndedError
            resource_tracker.ensure_running()  # its start would undo the next line
            signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL_SIGNALS)  # of this thread, and of the process
            process.start()
            atexit.register(process.kill)  # before multiprocessing waits for it, where `close` was not called
            self._process, self._connection, self.pid = process, connection, process.pid
        answer = self._receive()
        if isinstance(answer, child.Failed):
            raise LatexifyError(answer.text)
        if answer.fingerprint != self._fingerprint:
            raise LatexifyError(f"the model in {self._options.model} is another one now: start the service again")

    def _end(self) -> None:
        """Forget the process, if there is one, and make sure that it has ended."""
        with self._lock:
            process, connection = self._process, self._connection
            self._process = self._connection = self.pid = None
        if process is None or connection is None:
            return
        connection.close()
        process.join(ENDING_S)
        process.kill()
        process.join()
        atexit.unregister(process.kill)
        process.close()

    async def _read_batches(self, batcher: Batcher) -> None:
        """Let the process read batches until it ends: raises ModelEndedError then."""
        loop, process = asyncio.get_running_loop(), self._process
        assert process is not None
        ended = asyncio.Event()
        loop.add_reader(process.sentinel, ended.set)
        work = asyncio.create_task(batcher.run(self._read, name=self.name))
        watch = asyncio.create_task(ended.wait())
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
            raise ModelEndedError
        finally:
            loop.remove_reader(process.sentinel)
            work.cancel()
            watch.cancel()
            await asyncio.wait({work, watch})

    async def _read(self, pictures: Sequence[Picture], options: SearchOptions) -> list[Recognition]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._exchange, pictures, options)

    def _exchange(self, pictures: Sequence[Picture], options: SearchOptions) -> list[Recognition]:
        assert self._connection is not None
        try:
            self._connection.send((pictures, options._asdict()))
        except OSError:
            raise ModelEndedError from None
        answer = self._receive()
        if isinstance(answer, child.Failed):
            raise RuntimeError(  # noqa: TRY004  # what the model raised
                f"in model process {self.name}:\n{answer.text}"
            )
        recognitions: list[Recognition] = answer
        return recognitions

    def _receive(self) -> Any:
        assert self._connection is not None
        try:
            if self._connection.poll(ANSWER_TIMEOUT_S):
                return self._connection.recv()
        except (EOFError, OSError):
            raise ModelEndedError from None
        raise ModelEndedError

    def _how_it_ended(self) -> str:
        assert self._process is not None
        self._process.join(ENDING_S)
        code = self._process.exitcode
        return f"it does not answer within {ANSWER_TIMEOUT_S:g} s" if code is None else _describe(code)


def _describe(code: int) -> str:
    if code >= 0:
        return f"it ended with exit code {code}"
    try:
        return f"it was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"it was ended by signal {-code}"

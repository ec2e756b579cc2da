"""What runs in a model process: load a model, then answer batches of pictures until the service is gone.

It imports nothing of the HTTP service, so that it starts quickly and stays small.
"""

import signal
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection

from latexify.common.errors import LatexifyError
from latexify.serve.http.memory import return_freed_memory
from latexify.serve.http.models.loading import ModelOptions, load
from latexify.serve.recognizer import Recognizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The model is loaded; `fingerprint` is that of its manifest."""

    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The model could not be loaded, or a batch raised: a line for the user, or a traceback."""

    text: str


def run(connection: Connection, options: ModelOptions) -> None:
    """Answer one `Loaded` or `Failed`, then each ``(pictures, keywords of Recognizer.read)`` with the recognitions."""
    for number in (signal.SIGTERM, signal.SIGINT):  # a terminal sends them to all; the service finishes its requests
        signal.signal(number, signal.SIG_IGN)
    return_freed_memory()
    try:
        recognizer = load(options)
    except LatexifyError as error:
        connection.send(Failed(text=str(error)))
        return
    try:
        connection.send(Loaded(fingerprint=recognizer.fingerprint))
        _answer_batches(connection, recognizer)
    except (EOFError, OSError):  # the service has closed its end
        return


def _answer_batches(connection: Connection, recognizer: Recognizer) -> None:
    while True:
        pictures, keywords = connection.recv()
        try:
            answer = recognizer.read(pictures, **keywords)
        except Exception:  # noqa: BLE001  # the service raises it for the clients of this batch
            connection.send(Failed(text=traceback.format_exc()))
        else:
            connection.send(answer)

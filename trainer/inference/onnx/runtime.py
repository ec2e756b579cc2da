"""Inference by onnxruntime with the graphs that `latexify export-onnx` wrote. Needs neither torch nor transformers.

All arrays are NumPy's, whatever device onnxruntime computes on.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from latexify.artifacts.names import DECODER_NAME, ENCODER_NAME, EXPORT_ONNX
from latexify.common.errors import LatexifyError, one_line
from latexify.common.extras import missing_extra
from latexify.trainer.inference.model import ENCODER_BATCH_SIZE, InferenceModel
from latexify.trainer.inference.runtime import Floats, Ints, Pixels

Array = npt.NDArray[Any]


def has_cuda() -> bool:
    """Whether the installed onnxruntime can compute on a GPU. Raises LatexifyError if it is not installed."""
    return "CUDAExecutionProvider" in _import_onnxruntime().get_available_providers()


def _encode_pictures(session: Any, pixels: Pixels) -> Floats:
    """Encode uint8 [batch, height, width] as keys and values: float32 [batch, numbers], see `OnnxDecoder.start`."""
    parts = []
    for start in range(0, max(len(pixels), 1), ENCODER_BATCH_SIZE):
        part = np.ascontiguousarray(pixels[start : start + ENCODER_BATCH_SIZE])
        keys_values: list[Floats] = session.run(None, {"pixels": part})
        parts.append(np.concatenate([array.reshape(len(part), -1) for array in keys_values], axis=1))
    return np.concatenate(parts)


@dataclass(slots=True, kw_only=True)
class OnnxCache:
    """State between steps, see `StepCache`. Float32 arrays by the names of the graph's inputs."""

    memory: dict[str, Array]  # keys and values of the pictures, [samples, ...]
    past: dict[str, Array]  # keys and values of the tokens, [samples, beams, ...]

    def keep_samples(self, samples: Ints, *, rows: Ints) -> None:
        """Keep these samples only, and continue from these rows, which are theirs."""
        self.memory = {name: memory.take(samples, axis=0) for name, memory in self.memory.items()}
        self.keep_rows(rows)

    def keep_rows(self, rows: Ints) -> None:
        """Continue from these rows, which may repeat, of the same samples as before."""
        num_samples = len(next(iter(self.memory.values())))
        chosen = rows.reshape(num_samples, len(rows) // max(num_samples, 1))
        self.past = {name: past.reshape(-1, *past.shape[2:]).take(chosen, axis=0) for name, past in self.past.items()}


class OnnxDecoder:
    """The decoder's graph, as `TokenDecoder`."""

    def __init__(self, session: Any, *, max_positions: int) -> None:
        self._session = session
        shapes = {port.name: port.shape for port in session.get_inputs()}  # dimensions that vary have names, not sizes
        self._memory = {
            name: [size if isinstance(size, int) else -1 for size in shape[1:]]
            for name, shape in shapes.items()
            if name.startswith("memory_")
        }
        self._past = {name: shape[2:] for name, shape in shapes.items() if name.startswith("past_")}
        self.max_positions = max_positions

    def start(self, encoded: Floats) -> OnnxCache:
        """Begin a batch. encoded: float32 [samples, numbers], as `_encode_pictures` returns it."""
        samples = len(encoded)
        parts = np.split(encoded, len(self._memory), axis=1)  # keys and values of all layers have as many numbers
        memory = {
            name: np.ascontiguousarray(part.reshape(samples, *shape))
            for (name, shape), part in zip(self._memory.items(), parts, strict=True)
        }
        past = {
            name: np.empty((samples, 1, heads, 0, size), np.float32) for name, (heads, _, size) in self._past.items()
        }
        return OnnxCache(memory=memory, past=past)

    def step(self, cache: OnnxCache, tokens: Ints) -> Floats:
        """Append a token to every row; return logits, float32 [rows, vocabulary]."""
        samples = len(next(iter(cache.past.values())))
        beams = np.ascontiguousarray(tokens).reshape(samples, -1)
        logits, *present = self._session.run(None, {"tokens": beams, **cache.memory, **cache.past})
        cache.past = dict(zip(cache.past, present, strict=True))
        rows: Floats = logits.reshape(len(tokens), -1)
        return rows

    def scorer(self, penalties: Floats | None) -> "NumpyScorer":
        """Return a scorer. penalties: table of a constraint, float32 [cases, vocabulary]."""
        return NumpyScorer(penalties)


class NumpyScorer:
    """Implements `Scorer` by NumPy."""

    def __init__(self, penalties: Floats | None) -> None:
        self._penalties = penalties

    def best_tokens(self, logits: Floats, cases: Sequence[int] | None) -> tuple[Ints, Floats, Ints]:
        """Return the most likely allowed token of each row, its log-probability, and the most likely token of all."""
        favourites = logits.argmax(axis=1)
        tokens = favourites if cases is None else self._penalised(logits, cases).argmax(axis=1)
        best = np.take_along_axis(logits, tokens[:, None], axis=1)
        return tokens, (best - _log_sum_exp(logits))[:, 0], favourites

    def best_extensions(
        self, logits: Floats, cases: Sequence[int] | None, *, sums: Floats, count: int
    ) -> tuple[Floats, Ints]:
        """Return sums and indices of the `count` most likely extensions of the beams of each sample, best first."""
        scores = self._penalised(logits - _log_sum_exp(logits), cases)
        totals = (scores.reshape(*sums.shape, -1) + sums[:, :, None]).reshape(len(sums), -1)
        best = np.argpartition(-totals, count - 1, axis=1)[:, :count]
        values = np.take_along_axis(totals, best, axis=1)
        order = np.lexsort((best, -values), axis=1)
        return np.take_along_axis(values, order, axis=1), np.take_along_axis(best, order, axis=1)

    def _penalised(self, scores: Floats, cases: Sequence[int] | None) -> Floats:
        if cases is None:
            return scores
        assert self._penalties is not None
        return scores + self._penalties.take(cases, axis=0)


def _log_sum_exp(logits: Floats) -> Floats:
    """Return log(sum(exp(...))) over the last dimension, which stays with size 1."""
    largest = logits.max(axis=1, keepdims=True)
    total: Floats = largest + np.log(np.exp(logits - largest).sum(axis=1, keepdims=True))
    return total


def open_graphs(
    folder: Path, config: Mapping[str, Any], *, device: str | None = "cpu", num_threads: int | None = None
) -> InferenceModel:
    """Load both graphs of a model folder.

    Args:
        folder: Model folder.
        config: Content of its `config.json`.
        device: torch's name of a device, `cpu`, `cuda` or `cuda:N`; None: a GPU if onnxruntime supports one.
        num_threads: CPU threads of an operator; None: as many as this process has CPUs, or OMP_NUM_THREADS.

    Raises:
        LatexifyError: If onnxruntime is missing, cannot use the device, or cannot read a file.
    """
    chosen = device or ("cuda" if has_cuda() else "cpu")
    decoder = _open_session(folder / DECODER_NAME, device=chosen, num_threads=num_threads)
    encoder = _open_session(folder / ENCODER_NAME, device=chosen, num_threads=num_threads)
    return InferenceModel(
        encode=partial(_encode_pictures, encoder),
        decoder=OnnxDecoder(decoder, max_positions=int(config["decoder"]["max_position_embeddings"])),
        start_id=config["decoder_start_token_id"],
        end_id=config["eos_token_id"],
        device=chosen,
    )


def _open_session(path: Path, *, device: str, num_threads: int | None) -> Any:
    """Load an ONNX file. Threads may share the session."""
    runtime = _import_onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = num_threads or _default_threads()
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # one is kept for each shape, and every step has another
    options.log_severity_level = 3  # errors: the warnings are for authors of graphs
    with _one_line_errors(path):
        return runtime.InferenceSession(path, options, providers=[_provider(device)])


def _default_threads() -> int:
    threads = os.environ.get("OMP_NUM_THREADS", "")
    return int(threads) if threads.isdigit() and int(threads) else len(os.sched_getaffinity(0))


def _import_onnxruntime() -> Any:
    try:
        import onnxruntime  # noqa: PLC0415  # optional, and torch does not need it
    except ModuleNotFoundError as error:
        raise missing_extra("recognize", package=error.name) from None
    return onnxruntime


def _provider(device: str) -> str | tuple[str, dict[str, int]]:
    """Return the execution provider, as onnxruntime calls a backend for a device."""
    kind, _, number = device.partition(":")
    if kind == "cpu":
        return "CPUExecutionProvider"
    if kind == "cuda" and (not number or number.isdigit()) and has_cuda():
        return "CUDAExecutionProvider", {"device_id": int(number or 0)}
    raise LatexifyError(
        f"this onnxruntime cannot compute on {device}: try --device cpu, or install onnxruntime-gpu in its place"
    )


@contextmanager
def _one_line_errors(path: Path) -> Iterator[None]:
    """Turn onnxruntime's errors about a file into one line."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state  # noqa: PLC0415  # optional

    damaged = (state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf, state.NoSuchFile)
    try:
        yield
    except (*damaged, state.NotImplemented, state.RuntimeException) as error:
        reason = one_line(error)[:200]
        raise LatexifyError(f"{path} cannot be read by onnxruntime ({reason}): run `{EXPORT_ONNX}` again") from None

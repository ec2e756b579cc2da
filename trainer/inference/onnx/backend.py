"""Reading by onnxruntime: the graphs that `latexify export-onnx` wrote, in place of torch's arithmetic.

Tensors and arrays share their memory; all of it is the CPU's, whatever device onnxruntime computes on.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from latexify.artifacts.names import DECODER_NAME, ENCODER_NAME, EXPORT_ONNX
from latexify.common.errors import LatexifyError

Array = npt.NDArray[Any]


def has_cuda() -> bool:
    """Whether the onnxruntime that is installed can compute on a GPU. Raises LatexifyError where there is none."""
    return "CUDAExecutionProvider" in _onnxruntime().get_available_providers()


class Graph:
    """A graph that is loaded. Safe to share between threads."""

    def __init__(self, path: Path, *, device: torch.device) -> None:
        """Load an ONNX file, to run in as many threads as torch has (`torch.set_num_threads`).

        Raises LatexifyError where onnxruntime is missing, cannot use the device, or cannot read the file.
        """
        runtime = _onnxruntime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = False  # one is kept for each shape, and every step has another
        options.log_severity_level = 3  # errors: the warnings are for those who make graphs
        with _plain_errors(path):
            self._session = runtime.InferenceSession(path, options, providers=[_provider(device)])
        self.inputs = _shapes(self._session.get_inputs())
        self.outputs = _shapes(self._session.get_outputs())

    @property
    def num_threads(self) -> int:
        """Threads that an operator may use."""
        return int(self._session.get_session_options().intra_op_num_threads)

    def run(self, arrays: Mapping[str, Array]) -> list[Array]:
        """All outputs, from contiguous inputs by name."""
        found: list[Array] = self._session.run(None, arrays)
        return found


class OnnxEncoder:
    """Turns pictures into keys and values for the decoder."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """pixels: uint8 [batch, height, width]; returns float32 [batch, numbers], see `OnnxDecoder.start`."""
        found = self._graph.run({"pixels": np.ascontiguousarray(pixels.numpy())})
        return torch.from_numpy(np.concatenate([part.reshape(len(part), -1) for part in found], axis=1))


@dataclass(slots=True, kw_only=True)
class OnnxCache:
    """See `StepCache`. Float32, by the names of the graph's inputs, which say how they are laid out.

    memory: [samples, ...]. past: [samples, beams, ...].
    """

    memory: dict[str, Array]
    past: dict[str, Array]

    def keep_samples(self, samples: torch.Tensor, *, rows: torch.Tensor) -> None:
        """Go on with these samples only (int64), and the rows that are theirs."""
        self.memory = {name: memory.take(samples.numpy(), axis=0) for name, memory in self.memory.items()}
        self._keep_rows(rows, num_samples=len(samples))

    def keep_rows(self, rows: torch.Tensor) -> None:
        """Go on from these rows (int64; a row may be taken more than once), of the same samples as before."""
        self._keep_rows(rows, num_samples=len(next(iter(self.past.values()))))

    def _keep_rows(self, rows: torch.Tensor, *, num_samples: int) -> None:
        chosen = rows.numpy().reshape(num_samples, len(rows) // max(num_samples, 1))
        self.past = {name: past.reshape(-1, *past.shape[2:]).take(chosen, axis=0) for name, past in self.past.items()}


class OnnxDecoder:
    """The decoder's graph, as `latexify.trainer.inference.decoder.StepDecoder`."""

    def __init__(self, graph: Graph, *, max_positions: int) -> None:
        self._graph = graph
        self._memory = {name: shape[1:] for name, shape in graph.inputs.items() if name.startswith("memory_")}
        self._past = {name: shape[2:] for name, shape in graph.inputs.items() if name.startswith("past_")}
        self.max_positions = max_positions
        self.vocab_size = graph.outputs["logits"][-1]

    def start(self, memory: torch.Tensor) -> OnnxCache:
        """Begin to read pictures. memory: float32 [samples, numbers], what the encoder made of them."""
        samples = len(memory)
        ends = np.cumsum([math.prod(shape) for shape in self._memory.values()])
        parts = np.split(memory.numpy(), ends[:-1], axis=1)
        return OnnxCache(
            memory={
                name: np.ascontiguousarray(part.reshape(samples, *shape))
                for (name, shape), part in zip(self._memory.items(), parts, strict=True)
            },
            past={
                name: np.empty((samples, 1, heads, 0, size), np.float32)
                for name, (heads, _, size) in self._past.items()
            },
        )

    def step(self, cache: OnnxCache, tokens: torch.Tensor) -> torch.Tensor:
        """Append a token to every row. tokens: int64 [rows]; returns logits, float32 [rows, vocabulary]."""
        samples = len(next(iter(cache.past.values())))
        beams = np.ascontiguousarray(tokens.numpy()).reshape(samples, -1)
        logits, *present = self._graph.run({"tokens": beams, **cache.memory, **cache.past})
        cache.past = dict(zip(cache.past, present, strict=True))
        return torch.from_numpy(logits).view(len(tokens), -1)


def open_graphs(folder: Path, config: Mapping[str, Any], *, device: torch.device) -> tuple[OnnxEncoder, OnnxDecoder]:
    """Load both graphs of a folder. config: of the model (`config.json`).

    Raises LatexifyError where onnxruntime is missing, cannot use the device, or cannot read a file.
    """
    decoder = OnnxDecoder(
        Graph(folder / DECODER_NAME, device=device), max_positions=int(config["decoder"]["max_position_embeddings"])
    )
    return OnnxEncoder(Graph(folder / ENCODER_NAME, device=device)), decoder


def _shapes(ports: Sequence[Any]) -> dict[str, tuple[int, ...]]:
    """By name, in the graph's order; -1 for what varies."""
    return {port.name: tuple(size if isinstance(size, int) else -1 for size in port.shape) for port in ports}


def _onnxruntime() -> Any:
    try:
        import onnxruntime  # noqa: PLC0415  # optional, and who reads by torch need not wait for it
    except ModuleNotFoundError as error:
        raise LatexifyError(f"{error.name} is missing: pip install 'latexify[onnx]'") from None
    return onnxruntime


def _provider(device: torch.device) -> str | tuple[str, dict[str, int]]:
    """The execution provider, as onnxruntime calls what computes on a device."""
    if device.type == "cpu":
        return "CPUExecutionProvider"
    if device.type == "cuda" and has_cuda():
        return "CUDAExecutionProvider", {"device_id": device.index or 0}
    raise LatexifyError(
        f"this onnxruntime cannot compute on {device}: try --device cpu, or install onnxruntime-gpu in its place"
    )


@contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    """Say in one line that a file cannot be read."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state  # noqa: PLC0415  # optional

    damaged = (state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf, state.NoSuchFile)
    try:
        yield
    except (*damaged, state.NotImplemented, state.RuntimeException) as error:
        reason = " ".join(str(error).split())[:200]
        raise LatexifyError(f"{path} cannot be read by onnxruntime ({reason}): run `{EXPORT_ONNX}` again") from None

"""Reading by onnxruntime: the graphs that `latexify export-onnx` wrote, in place of torch's arithmetic.

Tensors pass between torch and onnxruntime as addresses, without copies.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from shards.errors import LatexifyError

ENCODER_NAME = "encoder.onnx"
DECODER_NAME = "decoder.onnx"
MADE_BY = "latexify export-onnx"

_NUMPY_TYPES = {torch.float32: np.float32, torch.int64: np.int64, torch.uint8: np.uint8}


def has_cuda() -> bool:
    """Whether the onnxruntime that is installed can compute on a GPU. Raises LatexifyError where there is none."""
    return "CUDAExecutionProvider" in _onnxruntime().get_available_providers()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Port:
    """An input or output of a graph. shape: -1 where it varies."""

    name: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, ports: Sequence[Any], *, prefix: str) -> list["_Port"]:
        """Those whose name begins so, in the graph's order."""
        return [
            cls(name=port.name, shape=tuple(size if isinstance(size, int) else -1 for size in port.shape))
            for port in ports
            if port.name.startswith(prefix)
        ]


class Graph:
    """A graph that is loaded, on one device. Safe to share between threads."""

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
            self.session = runtime.InferenceSession(path, options, providers=[_provider(device)])
        self.device = device

    def bind(self, binding: Any, port: str, tensor: torch.Tensor, shape: Sequence[int], *, is_output: bool) -> None:
        """Let a port be a contiguous tensor, seen in another shape; the tensor must live until the graph has run."""
        assert tensor.is_contiguous()
        connect = binding.bind_output if is_output else binding.bind_input
        connect(
            port,
            self.device.type,
            self.device.index or 0,
            _NUMPY_TYPES[tensor.dtype],
            list(shape),
            tensor.data_ptr(),
        )

    def run(self, binding: Any) -> None:
        """Compute the outputs that are bound."""
        if self.device.type == "cuda":
            torch.cuda.current_stream(self.device).synchronize()  # onnxruntime has a stream of its own, and waits for it
        self.session.run_with_iobinding(binding)


class OnnxEncoder:
    """Turns pictures into keys and values for the decoder."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._memory = _Port.of(graph.session.get_outputs(), prefix="memory_")

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """pixels: uint8 [batch, height, width]; returns float32 [batch, numbers], see `OnnxDecoder.start`."""
        graph, samples = self._graph, len(pixels)
        pixels = pixels.to(graph.device).contiguous()
        binding = graph.session.io_binding()
        graph.bind(binding, "pixels", pixels, pixels.shape, is_output=False)
        found = [_new(samples, *port.shape[1:], device=graph.device) for port in self._memory]
        for port, tensor in zip(self._memory, found, strict=True):
            graph.bind(binding, port.name, tensor, tensor.shape, is_output=True)
        graph.run(binding)
        return torch.cat([tensor.flatten(1) for tensor in found], dim=1)


@dataclass(slots=True, kw_only=True)
class OnnxCache:
    """See `StepCache`. memory: [samples, ...], past: [rows, heads, length, head_size]; both as the graph's inputs.

    binding: of onnxruntime. is_bound: whether it holds the memory.
    """

    memory: list[torch.Tensor]
    past: list[torch.Tensor]
    binding: Any
    is_bound: bool = field(default=False)

    def keep_samples(self, samples: torch.Tensor, *, rows: torch.Tensor) -> None:
        """Go on with these samples only (int64), and the rows that are theirs."""
        self.memory = [memory.index_select(0, samples) for memory in self.memory]
        self.is_bound = False
        self.keep_rows(rows)

    def keep_rows(self, rows: torch.Tensor) -> None:
        """Go on from these rows (int64; a row may be taken more than once), of the same samples as before."""
        self.past = [past.index_select(0, rows) for past in self.past]


class OnnxDecoder:
    """The decoder's graph, as `trainer.reading.decoder.StepDecoder`."""

    def __init__(self, graph: Graph, *, max_positions: int) -> None:
        self._graph = graph
        self._memory = _Port.of(graph.session.get_inputs(), prefix="memory_")
        self._past = _Port.of(graph.session.get_inputs(), prefix="past_")
        self._present = [port.name for port in _Port.of(graph.session.get_outputs(), prefix="present_")]
        self.max_positions = max_positions
        self.vocab_size = _Port.of(graph.session.get_outputs(), prefix="logits")[0].shape[-1]

    def start(self, memory: torch.Tensor) -> OnnxCache:
        """Begin to read pictures. memory: float32 [samples, numbers], what the encoder made of them."""
        samples, device = len(memory), self._graph.device
        sizes = [int(np.prod(port.shape[1:])) for port in self._memory]
        parts = zip(memory.split(sizes, dim=1), self._memory, strict=True)
        return OnnxCache(
            memory=[part.reshape(samples, *port.shape[1:]).contiguous() for part, port in parts],
            past=[_new(samples, port.shape[2], 0, port.shape[4], device=device) for port in self._past],
            binding=self._graph.session.io_binding(),
        )

    def step(self, cache: OnnxCache, tokens: torch.Tensor) -> torch.Tensor:
        """Append a token to every row. tokens: int64 [rows]; returns logits, float32 [rows, vocabulary]."""
        graph, binding, rows = self._graph, cache.binding, len(tokens)
        samples = len(cache.memory[0])
        shape = (samples, rows // samples)
        if not cache.is_bound:
            for port, tensor in zip(self._memory, cache.memory, strict=True):
                graph.bind(binding, port.name, tensor, tensor.shape, is_output=False)
            cache.is_bound = True
        tokens = tokens.contiguous()
        graph.bind(binding, "tokens", tokens, shape, is_output=False)
        logits = _new(rows, self.vocab_size, device=graph.device)
        _, heads, length, size = cache.past[0].shape
        for port, past in zip(self._past, cache.past, strict=True):
            # a tensor without elements has no address, and onnxruntime wants one
            tensor = past if length else logits
            graph.bind(binding, port.name, tensor, (*shape, heads, length, size), is_output=False)
        graph.bind(binding, "logits", logits, (*shape, self.vocab_size), is_output=True)
        present = [_new(rows, heads, length + 1, size, device=graph.device) for _ in self._present]
        for name, tensor in zip(self._present, present, strict=True):
            graph.bind(binding, name, tensor, (*shape, heads, length + 1, size), is_output=True)
        graph.run(binding)
        cache.past = present
        return logits


def open_graphs(
    folder: Path, config: Mapping[str, Any], *, device: torch.device
) -> tuple[OnnxEncoder, OnnxDecoder]:
    """Load both graphs of a folder. config: of the model (`config.json`).

    Raises LatexifyError where onnxruntime is missing, cannot use the device, or cannot read a file.
    """
    decoder = OnnxDecoder(
        Graph(folder / DECODER_NAME, device=device), max_positions=int(config["decoder"]["max_position_embeddings"])
    )
    return OnnxEncoder(Graph(folder / ENCODER_NAME, device=device)), decoder


def _new(*shape: int, device: torch.device) -> torch.Tensor:
    return torch.empty(shape, device=device)


def _onnxruntime() -> ModuleType:
    try:
        import onnxruntime  # noqa: PLC0415  # optional, and who reads by torch need not wait for it
    except ModuleNotFoundError as error:
        raise LatexifyError(f"{error.name} is missing: pip install 'latexify[onnx]'") from None
    return onnxruntime


def _provider(device: torch.device) -> str | tuple[str, dict[str, int]]:
    """onnxruntime's name of what computes on a device."""
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
        raise LatexifyError(f"{path} cannot be read by onnxruntime ({reason}): run `{MADE_BY}` again") from None

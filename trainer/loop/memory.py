"""The largest micro-batch that fits into memory, by measuring."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import VisionEncoderDecoderModel

from latexify.common.errors import LatexifyError
from latexify.shards.format.index import SplitIndex
from latexify.trainer.config import TrainParams
from latexify.trainer.loop.loss import token_loss
from latexify.trainer.loop.optim import prepare, set_training
from latexify.trainer.loop.precision import Precision
from latexify.trainer.loop.ranks import Ranks
from latexify.trainer.model.model import LoadedModel

SPARE = 0.8
"""Fraction of the free memory to use: batches differ, allocators fragment, and other programs need memory."""

_MEMINFO = Path("/proc/meminfo")


def resolve_micro_batch(
    params: TrainParams, network: LoadedModel, *, index: SplitIndex, precision: Precision, ranks: Ranks
) -> TrainParams:
    """Replace `micro_batch: auto` by a number, the same on every rank.

    As many samples with the longest label of the split fit beside what the training keeps (:func:`resident_bytes`) and
    the logits' gradient.

    Raises:
        LatexifyError: If not even one sample fits, or the free memory cannot be measured.
    """
    if params.micro_batch != "auto":
        return params
    model = network.model
    prepare(model, params)
    budget = int(free_bytes(precision.device) * SPARE) - resident_bytes(model, params, world_size=ranks.world_size)
    shape = (network.height_px, network.width_px)
    longest = int(index.num_tokens.max())

    def bytes_of(num_samples: int) -> int:
        pixels = torch.full((num_samples, *shape), 255, dtype=torch.uint8)
        labels = torch.full((num_samples, longest), network.tokenizer.eos_token_id)
        with precision.autocast():
            kept = activation_bytes(lambda: token_loss(model, pixels, labels), resident=_tensors(model))
        return kept + logits_bytes(model, num_tokens=num_samples * longest, precision=precision)

    state = {name: value.clone() for name, value in model.named_buffers()}
    set_training(model, params)
    per_rank = -(-min(params.global_batch, len(index)) // ranks.world_size)
    fitting = fitting_batch(bytes_of, budget=budget, largest=per_rank)
    for name, buffer in model.named_buffers():
        buffer.copy_(state[name])  # undo what the batch norms learned from white paper
    return params.model_copy(update={"micro_batch": min(ranks.gather(fitting))})


def resident_bytes(model: VisionEncoderDecoderModel, params: TrainParams, *, world_size: int) -> int:
    """Return the bytes that a training keeps for good besides the weights, which are on the device already.

    These are the gradients and the optimizer's two moments of all that is trained, the EMA of all weights, and with
    several ranks DistributedDataParallel's buckets, as large as the gradients. model: prepared for the training.
    """
    trained = sum(_bytes_of(value) for value in model.parameters() if value.requires_grad)
    copies = 4 if world_size > 1 else 3
    return copies * trained + (sum(map(_bytes_of, _tensors(model))) if params.ema_decay else 0)


def logits_bytes(model: VisionEncoderDecoderModel, *, num_tokens: int, precision: Precision) -> int:
    """Return the bytes that the loss needs for a moment, besides what it keeps for the backward pass.

    Before it, these are the logits in the format of the forward pass and in float32; after it, their gradients.
    """
    widths = 4 if precision.name == "fp32" else 4 + 2
    return num_tokens * int(model.config.decoder.vocab_size) * widths


def activation_bytes(compute_loss: Callable[[], torch.Tensor], *, resident: Iterable[torch.Tensor] = ()) -> int:
    """Return the bytes that a forward pass keeps for its backward pass, each storage counted once, on any device.

    Copies of weights in half precision count. resident: tensors that do not count, such as the weights themselves.
    """
    sizes: dict[int, int] = {}
    known = {tensor.untyped_storage().data_ptr() for tensor in resident}

    def count(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        loss = compute_loss()
    del loss
    return sum(sizes.values())


def _bytes_of(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _tensors(model: VisionEncoderDecoderModel) -> list[torch.Tensor]:
    return [*model.parameters(), *model.buffers()]


@contextmanager
def explain_full_memory(params: TrainParams, *, device: torch.device) -> Iterator[None]:
    """Raise one clear error if the device, or the machine, runs out of memory."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # on a CPU torch's allocator raises a plain RuntimeError
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "DefaultCPUAllocator" not in str(error):
            raise
        raise LatexifyError(
            f"a micro-batch of {params.micro_batch_size} does not fit into the memory of {device}: set "
            "train.micro_batch to auto or a smaller number, or turn on train.gradient_checkpointing; no checkpoint is "
            "lost"
        ) from None


def free_bytes(device: torch.device) -> int:
    """Return the free memory of the device. Raises LatexifyError if it cannot be measured."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        raise LatexifyError(
            f"the free memory of {device} cannot be measured on this system: set train.micro_batch to a number"
        ) from None


def fitting_batch(bytes_of: Callable[[int], int], *, budget: int, largest: int) -> int:
    """Return the largest number of samples whose activations fit into `budget` bytes, at most `largest`.

    Activations are linear in the number of samples, so measuring one and two gives the constant and the slope. Raises
    LatexifyError if not even one sample fits. bytes_of: measures the activations of a number of samples.
    """
    one, two = bytes_of(1), bytes_of(2)
    per_sample = max(two - one, 1)
    fits = (budget - (one - per_sample)) // per_sample
    if fits < 1:
        raise LatexifyError(
            f"a single sample needs {one / 2**20:.0f} MiB, {budget / 2**20:.0f} MiB are free: turn on "
            "train.gradient_checkpointing, make the canvas smaller, or choose a smaller model"
        )
    return int(min(fits, largest))

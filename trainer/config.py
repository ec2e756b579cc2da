"""The sections of ``params.yaml`` that belong to the online half. Imports no torch, so that checking them is quick."""

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

from latexify.common.section import Section


class ModelParams(Section):
    """Which TrOCR to start from."""

    base: str = "models/crohme-small"
    """`scratch`, a local folder, an installed model (`models/NAME`), or a name on the hub such as
    `microsoft/trocr-base-handwritten`."""
    preset: Literal["tiny", "small", "base"] = "tiny"
    """The size of a `scratch` model; ignored for any other base."""


class TrainParams(Section):
    """The optimisation. Steps are optimizer steps: one per global batch."""

    max_steps: Annotated[int, Ge(1)] = 750
    global_batch: Annotated[int, Ge(1)] = 16
    """Samples per optimizer step, over all micro-batches and ranks."""
    micro_batch: Annotated[int, Ge(1)] | Literal["auto"] = 16
    """Samples per forward pass at most; the number of accumulation steps follows from it. `auto`: as many as fit into
    the device's memory."""
    learning_rate: Annotated[float, Gt(0)] = 7e-4
    warmup_steps: Annotated[int, Ge(0)] = 50
    schedule: Literal["cosine", "wsd", "constant"] = "cosine"
    """After the warm-up: `cosine` to zero, `wsd` constant and then linear to zero over the last fifth, or
    `constant`."""
    weight_decay: Annotated[float, Ge(0)] = 0.01
    beta2: Annotated[float, Gt(0), Lt(1)] = 0.98
    layerwise_lr_decay: Annotated[float, Gt(0), Le(1)] = 1.0
    """Each layer of encoder and decoder learns this much more slowly than the one above it; 1: all alike."""
    freeze: list[Literal["encoder", "embeddings"]] = ["encoder"]
    """Parts that stay as they are in `model.base`: the whole encoder, the decoder's token embeddings (with its output
    where they are the same weights)."""
    max_grad_norm: Annotated[float, Gt(0)] = 1.0
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    augment_strength: Annotated[float, Ge(0), Le(1)] = 0.0
    """How strongly pictures are changed on the device: scale, stretch, slant, rotation, place, thickness and darkness
    of the strokes, noise of the paper; 0 is off."""
    shuffle_window: Annotated[int, Ge(1)] = 8192
    """Samples that are mixed at a time; a window that reaches over few shards suits remote shards."""
    curriculum_epochs: Annotated[int, Ge(0)] = 0
    """The first so many epochs run from short labels to long; 0 turns the curriculum off."""
    ema_decay: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Decay per step of an exponential moving average of the weights, which is then validated and exported; 0: none."""
    early_stopping_patience: Annotated[int, Ge(0)] = 0
    """Stop after so many validations in a row without a better one; 0: never."""
    max_hours: Annotated[float, Gt(0)] | None = None
    """Stop after so many hours of training, all sessions together."""
    gradient_checkpointing: bool = False
    """Compute activations twice instead of keeping them: about half the memory, for about a third more time."""
    compile: bool = False
    """Compile the forward and backward pass (torch.compile): minutes at the start, faster steps on a GPU."""
    export_dtype: Literal["float32", "float16"] = "float32"
    """What the weights of the model folder are stored in; `float16` takes half the space, and readers compute in
    float32 all the same."""
    precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    """`auto`: bf16 where the device is built for it (CUDA from Ampere, CPUs with AVX512-BF16 or AMX), else fp16 on
    CUDA, else fp32; a run that was begun keeps what `auto` was then."""
    log_steps: Annotated[int, Ge(1)] = 50
    """A row of `history.csv` after every so many steps, and after every validation."""
    validate_steps: Annotated[int, Ge(1)] = 375
    """Validate after every so many steps, and at the end."""
    validate_samples: Annotated[int, Ge(1)] = 256
    """Validation inks used for the curve and for choosing the best model (a fixed random subset)."""
    resume_from: str | None = None
    """A folder of another run to go on from where this one has no checkpoint of its own, such as `runs/1a2b3c…`."""
    resume_changes: list[str] = []
    """Parameters of this section in which `resume_from` may differ, such as `max_steps`."""
    checkpoint_steps: Annotated[int, Ge(1)] = 500
    checkpoint_minutes: Annotated[float, Gt(0)] = 10.0
    keep_checkpoints: Annotated[int, Ge(1)] = 2
    max_damaged_fraction: Annotated[float, Ge(0), Le(1)] = 0.001
    """Stop where a larger share of the training samples than this cannot be read; until then they are left out."""
    loader_workers: Annotated[int, Ge(0), Le(64)] = 1
    """Processes that read and decode shards; 0 reads in the training process."""
    num_threads: Annotated[int, Ge(0)] = 0
    """CPU threads of torch; 0 leaves torch's own choice."""

    @property
    def micro_batch_size(self) -> int:
        """`micro_batch`, once it is a number: `latexify.trainer.loop.memory.resolve_micro_batch` makes one of `auto`."""
        assert self.micro_batch != "auto"
        return self.micro_batch

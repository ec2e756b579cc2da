"""The sections ``model`` and ``train`` of ``params.yaml``; checking them does not import torch."""

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from latexify.common.section import Later, Section
from latexify.trainer.model.presets import PRESETS


def _known_preset(name: str) -> str:
    if name not in PRESETS:
        names = ", ".join(f"`{preset}`" for preset in PRESETS)
        raise PydanticCustomError("preset", "must be one of {names}", {"names": names})
    return name


class ModelParams(Section):
    """The TrOCR to start from."""

    base: str = "models/crohme-small"
    """`scratch`, a local folder, an installed model (`models/NAME`), or a name on the Hub such as
    `microsoft/trocr-base-handwritten`."""
    preset: Annotated[str, AfterValidator(_known_preset)] = "tiny"
    """The size of a `scratch` model, a key of `latexify.trainer.model.presets.PRESETS`; ignored for any other base."""


class TrainParams(Section):
    """The training. Steps are optimizer steps: one per global batch."""

    max_steps: Annotated[int, Ge(1)] = 750
    """The training ends after this many steps; the schedule of the learning rate is planned for them."""
    global_batch: Annotated[int, Ge(1)] = 16
    """Samples per optimizer step, over all micro-batches and ranks."""
    micro_batch: Annotated[int, Ge(1)] | Literal["auto"] = 16
    """Maximum number of samples per forward pass; the number of accumulation steps follows from it. `auto`: as many as
    fit into the device's memory."""
    learning_rate: Annotated[float, Gt(0)] = 7e-4
    """Highest learning rate of AdamW, reached after the warm-up."""
    warmup_steps: Annotated[int, Ge(0)] = 50
    """Number of first steps in which the learning rate rises linearly."""
    schedule: Literal["cosine", "wsd", "constant"] = "cosine"
    """After the warm-up: `cosine` to zero, `wsd` (warm-up, stable, decay: linear to zero over the last fifth of the
    steps), or `constant`."""
    weight_decay: Annotated[float, Ge(0)] = 0.01
    """Weight decay of AdamW; biases, norms and embeddings do not decay."""
    beta2: Annotated[float, Gt(0), Lt(1)] = 0.98
    """Decay of AdamW's mean of squared gradients."""
    layerwise_lr_decay: Annotated[float, Gt(0), Le(1)] = 1.0
    """Factor of the learning rate from each layer of encoder and decoder to the one below it; 1: no difference."""
    freeze: list[Literal["encoder", "embeddings", "batch_statistics"]] = ["encoder"]
    """Parts of `model.base` that are not trained: the whole encoder, the decoder's token embeddings (and its output, if
    that shares their weights), or the statistics of the encoder's batch norms, whose weights are still trained. With
    these frozen, batches can hold labels and pictures of like length, which saves time."""
    max_grad_norm: Annotated[float, Gt(0)] = 1.0
    """Gradients with a larger norm are scaled down to it."""
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Fraction of the target probability that is spread over all tokens."""
    backward_fraction: Annotated[float, Ge(0), Lt(1), Later()] = 0.0
    """Fraction of the labels that are learned from right to left, other ones in each epoch. A model that has learned
    both directions rescores its hypotheses backward."""
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Probability of dropout in the residual branches of encoder and decoder."""
    augment_strength: Annotated[float, Ge(0), Le(1)] = 0.0
    """How strongly pictures are changed on the device: scale, stretch, slant, rotation, position, stroke thickness and
    darkness, noise of the paper; 0 is off."""
    shuffle_window: Annotated[int, Ge(1)] = 8192
    """Number of samples shuffled together; with remote shards, use a window that spans few of them."""
    curriculum_epochs: Annotated[int, Ge(0)] = 0
    """Number of first epochs that go from short labels to long; 0 turns the curriculum off."""
    ema_decay: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Decay per step of the moving average (EMA) of the weights, which is then validated and exported; 0: off."""
    early_stopping_patience: Annotated[int, Ge(0)] = 0
    """Stop after this many validations in a row without an improvement; 0: never."""
    max_hours: Annotated[float, Gt(0)] | None = None
    """Stop after this many hours of training, over all sessions."""
    gradient_checkpointing: bool = False
    """Recompute activations instead of keeping them: about half the memory, about a third more time."""
    compile: bool | Literal["reduce-overhead"] = False
    """Compile the forward and backward pass and the augmentation (torch.compile): minutes at the start, faster steps on
    a GPU. `reduce-overhead` also records CUDA graphs, for models so small that starting kernels takes most of the
    time."""
    export_dtype: Literal["float32", "float16"] = "float32"
    """Number format of the weights in the model folder. `float16` takes half the space; inference still computes in
    float32."""
    precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    """`auto`: bf16 where it is faster (CUDA from Ampere, CPUs with AMX, AMD's with AVX512-BF16), else fp16 on CUDA,
    else fp32; a run that resumes keeps the choice it started with."""
    log_steps: Annotated[int, Ge(1)] = 50
    """Steps between two rows of `history.csv`; every validation adds a row, too."""
    validate_steps: Annotated[int, Ge(1)] = 375
    """Steps between two validations; the last step is always validated."""
    validate_samples: Annotated[int, Ge(1)] = 256
    """Number of validation inks used for the history and for choosing the best model (a fixed random subset)."""
    resume_from: str | None = None
    """Folder of another run to continue while this one has no checkpoint of its own, such as `runs/1a2b3c…`."""
    resume_changes: list[str] = []
    """Parameters of this section in which this run may differ from `resume_from`, such as `max_steps`."""
    checkpoint_steps: Annotated[int, Ge(1)] = 500
    """Steps between two checkpoints; every best validation and the end of the training write one, too."""
    checkpoint_minutes: Annotated[float, Gt(0)] = 10.0
    """Longest time between two checkpoints."""
    keep_checkpoints: Annotated[int, Ge(1)] = 2
    """Number of latest checkpoints that are kept."""
    log_to: Annotated[list[Literal["tensorboard", "mlflow", "wandb", "dvclive"]], Later()] = []
    """Trackers that get the history, and pictures with their readings at each validation; the extra of each has its
    name. One that is not installed or fails is left out in one line."""
    callbacks: Annotated[list[str], Later()] = []
    """Callbacks of your own, `module:Class`, in an installed module or one in the current folder: subclasses of
    `latexify.Callback`."""
    max_damaged_fraction: Annotated[float, Ge(0), Le(1)] = 0.001
    """Stop if more than this fraction of the training samples cannot be read; up to it, they are left out."""
    loader_workers: Annotated[int, Ge(0), Le(64)] = 1
    """Number of processes that read and decode shards; 0 reads in the training process."""
    num_threads: Annotated[int, Ge(0)] = 0
    """CPU threads of torch; 0: torch's default."""

    @property
    def micro_batch_size(self) -> int:
        """`micro_batch` as a number; `latexify.trainer.loop.memory.resolve_micro_batch` replaces `auto` first."""
        assert self.micro_batch != "auto"
        return self.micro_batch

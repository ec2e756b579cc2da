"""Train TrOCR on one GPU for a minute and say how fast, how full, how hungry: `python -m benchmarks.studies.gpu`.

Needs a CUDA device and torch, transformers and this project's `shards` and `trainer`; neither cairo nor real inks: the
pictures are made here, sparse strokes at the canvas asked for. Prints one row per precision: samples per second, share
of the device's peak that the model's own arithmetic takes (model FLOPs utilisation, counted by torch, without what is
computed twice), share of the time spent waiting for data, and peak memory.
"""

import argparse
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedTokenizerFast, VisionEncoderDecoderModel
from transformers.models.trocr.modeling_trocr import TrOCRAttention

from latexify.artifacts.files import write_parquet
from latexify.artifacts.manifest import Manifest, write_manifest
from latexify.artifacts.names import INDEX_NAME
from latexify.shards.format.index import SplitIndex, open_split
from latexify.shards.format.png import encode_png
from latexify.shards.format.sample import EncodedSample
from latexify.shards.format.writer import write_shard
from latexify.trainer.config import ModelParams, TrainParams
from latexify.trainer.data.batches import GlobalBatch, next_batch, open_loader
from latexify.trainer.data.copies import Peekable
from latexify.trainer.data.loader_processes import close_loader
from latexify.trainer.data.specs import Position
from latexify.trainer.loop.history import peak_bytes
from latexify.trainer.loop.loss import token_loss
from latexify.trainer.loop.precision import Precision, choose_device, fit_to_device
from latexify.trainer.loop.ranks import Ranks
from latexify.trainer.loop.step import Stepper
from latexify.trainer.model.model import make_model

PEAK_TFLOPS = {
    "H200": 989,
    "H100": 989,
    "A100": 312,
    "L40S": 362,
    "L4": 121,
    "A10": 125,
    "V100": 125,
    "T4": 65,
}
"""Dense half-precision peaks of tensor cores, 10^12 operations per second, from the makers' data sheets."""
WARM_UP_STEPS = 3
COMPILED_PASSES = 2
"""Passes over the same batches before one is timed, if the model is compiled: the first compiles each shape, and of
each the second records the graph."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One precision. step_s: seconds per global batch. flops: of one step, forward and backward."""

    precision: str
    samples_per_s: float
    step_s: float
    flops: float
    wait_share: float
    peak_mib: float
    calls: int = 0  # launches of kernels a step on a GPU, operators of torch on a CPU
    waits: int = 0  # how often a step waits for the GPU, or reads a number on a CPU


def make_tokenizer(size: int) -> PreTrainedTokenizerFast:
    """A vocabulary of this size; what its words mean does not matter here."""
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    words = {word: number for number, word in enumerate([*special, *(f"w{n}" for n in range(size - len(special)))])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    roles = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token"), special, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **roles)


def make_shards(folder: Path, *, count: int, height_px: int, width_px: int, vocabulary: int) -> SplitIndex:
    """Shards of random strokes, with labels as long as MathWriting's (Poisson, mean 18)."""
    chance = np.random.default_rng(1)
    rows, shards = [], []
    for number, first in enumerate(range(0, count, 500)):
        samples = [
            _sample(chance, key=f"gpu/{n}", height_px=height_px, width_px=width_px, vocabulary=vocabulary)
            for n in range(first, min(first + 500, count))
        ]
        shard, table = write_shard(folder, split="train", number=number, samples=samples)
        rows.append(table)
        shards.append({name: getattr(shard, name) for name in ("name", "num_samples", "num_bytes", "sha256")})
    write_parquet(folder / INDEX_NAME, pa.concat_tables(rows))
    content = {"splits": {"train": {"num_samples": count, "shards": shards}}}
    params = {"height_px": height_px, "width_px": width_px}
    write_manifest(folder, Manifest(kind="shards", version=1, params=params, inputs={}, content=content))
    return open_split(folder, "train")


def _sample(chance: np.random.Generator, *, key: str, height_px: int, width_px: int, vocabulary: int) -> EncodedSample:
    pixels: npt.NDArray[np.uint8] = np.full((height_px, width_px), 255, dtype=np.uint8)
    for _ in range(20):
        top, left = chance.integers(0, height_px - 12), chance.integers(0, width_px - 12)
        pixels[top : top + 12, left : left + 2] = 0
    ids = chance.integers(4, vocabulary, 1 + chance.poisson(17)).astype(np.int32)
    ids[-1] = 2
    return EncodedSample(key=key, label="", png=encode_png(pixels), token_ids=ids, description={"label": ""})


def measure(index: SplitIndex, params: TrainParams, *, options: argparse.Namespace, precision: Precision) -> Result:
    """Train `options.steps` global batches, after a few that are not counted."""
    torch.compiler.reset()  # what rows before have compiled
    tokenizer = make_tokenizer(options.vocabulary)
    model = make_model(
        ModelParams(base="scratch", preset=options.preset),
        tokenizer=tokenizer,
        height_px=index.height_px,
        width_px=index.width_px,
        dropout=params.dropout,
        seed=1,
    )
    fit_to_device(model, precision=precision)
    stepper = Stepper(model, params, precision=precision, seed=1)
    if options.plain_attention:
        use_plain_attention(model)
    for _ in range(COMPILED_PASSES if params.compile else 0):
        train(stepper, index, params, options=options)
    elapsed_s, waited_s, batch = train(stepper, index, params, options=options)
    calls, waits = count_calls(stepper, batch, precision.device, trace=options.trace)
    use_plain_attention(model)  # whose products torch counts on every device
    flops = 0.0
    for micro in batch.micro_batches:
        with FlopCounterMode(display=False) as counter, precision.autocast():
            token_loss(model, micro.pixels, micro.labels).backward()  # type: ignore[no-untyped-call]
        flops += counter.get_total_flops()
    return Result(
        precision=precision.name,
        samples_per_s=options.steps * params.global_batch / elapsed_s,
        step_s=elapsed_s / options.steps,
        flops=flops,
        wait_share=waited_s / elapsed_s,
        peak_mib=peak_bytes(precision.device) / 2**20,
        calls=calls,
        waits=waits,
    )


def train(
    stepper: Stepper, index: SplitIndex, params: TrainParams, *, options: argparse.Namespace
) -> tuple[float, float, GlobalBatch]:
    """Train on the first global batches; return the seconds of all but a few, those of waiting, and the last batch."""
    device = stepper.model.device
    loader = iter(open_loader(index, params, seed=1, start=Position(), pin_memory=device.type == "cuda"))
    batches = Peekable(loader)
    following = None if options.no_lookahead else batches.peek
    started = waited_s = 0.0
    try:
        for step in range(WARM_UP_STEPS + options.steps):
            if step == WARM_UP_STEPS:
                _synchronize(device)
                started, waited_s = time.perf_counter(), batches.waited_s
            batch = next_batch(batches, ranks=Ranks(), stop=False, time_limit_reached=False)
            stepper.step(batch.micro_batches, learning_rate=1e-5, following=following)
        _synchronize(device)
        return time.perf_counter() - started, batches.waited_s - waited_s, batch
    finally:
        close_loader(loader)


def use_plain_attention(model: VisionEncoderDecoderModel) -> None:
    """Let the decoder compute its attention as transformers does, and as this project did before."""
    for module in model.decoder.modules():
        if isinstance(module, TrOCRAttention):
            module.__class__ = TrOCRAttention


def count_calls(stepper: Stepper, batch: GlobalBatch, device: torch.device, *, trace: Path | None) -> tuple[int, int]:
    """Return launches and waits of one step. trace: file for the steps' trace, which chrome://tracing shows."""
    kinds = [torch.profiler.ProfilerActivity.CPU]
    kinds += [torch.profiler.ProfilerActivity.CUDA] if device.type == "cuda" else []
    with torch.profiler.profile(activities=kinds) as profile:
        stepper.step(batch.micro_batches, learning_rate=1e-5)
        _synchronize(device)
    if trace is not None:
        profile.export_chrome_trace(str(trace))
    counts = {event.key: event.count for event in profile.key_averages()}
    if device.type == "cuda":
        launches = sum(count for name, count in counts.items() if re.match(r"cu(da)?(GraphLaunch|Launch)", name))
        return launches, sum(count for name, count in counts.items() if "Synchronize" in name) - 1  # ours, above
    operators = sum(count for name, count in counts.items() if name.startswith("aten::"))
    return operators, counts.get("aten::_local_scalar_dense", 0)


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_flops(device: torch.device, *, tflops: float | None) -> float | None:
    """Operations per second that the device is built for; None where it is not known."""
    if tflops is not None:
        return tflops * 1e12
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((value * 1e12 for key, value in PEAK_TFLOPS.items() if key in name), None)


def table(results: list[Result], *, peak: float | None) -> str:
    """Markdown."""
    lines = [
        "| precision | samples/s | step, s | TFLOP/s | of the peak | waiting | peak MiB | calls | waits |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for one in results:
        rate = one.flops / one.step_s
        share = f"{rate / peak:.1%}" if peak else "unknown"
        lines.append(
            f"| {one.precision} | {one.samples_per_s:.1f} | {one.step_s:.3f} | {rate / 1e12:.2f} | {share} | "
            f"{one.wait_share:.2%} | {one.peak_mib:.0f} | {one.calls} | {one.waits} |"
        )
    return "\n".join(lines)


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default=None)
    parser.add_argument("--precisions", nargs="+", default=["bf16", "fp16"], choices=["bf16", "fp16", "fp32"])
    parser.add_argument("--preset", default="base", choices=["tiny", "small", "base"])
    parser.add_argument("--height-px", type=int, default=384)
    parser.add_argument("--width-px", type=int, default=384)
    parser.add_argument("--vocabulary", type=int, default=50_265, help="TrOCR-base's own by default")
    parser.add_argument("--global-batch", type=int, default=64)
    parser.add_argument("--micro-batch", type=int, default=64, help="8 is about what a T4 holds")
    parser.add_argument("--gradient-checkpointing", action="store_true")
    parser.add_argument("--compile", nargs="?", const="true", default="false", choices=["true", "reduce-overhead"])
    parser.add_argument("--no-lookahead", action="store_true", help="prepare a batch only when it is needed")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--plain-attention", action="store_true", help="the decoder's attention as in transformers")
    parser.add_argument("--extras", action="store_true", help="augmentation 0.5, dropout 0.1 and EMA 0.999")
    parser.add_argument("--trace", type=Path, default=None, help="file for a trace of one step")
    parser.add_argument("--peak-tflops", type=float, default=None, help="of a device that is not in the table")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> str:
    """Measure every precision; returns the table."""
    options = parse(arguments)
    device = choose_device(options.device)
    params = TrainParams(
        freeze=[],
        global_batch=options.global_batch,
        micro_batch=options.micro_batch,
        loader_workers=options.workers,
        gradient_checkpointing=options.gradient_checkpointing,
        compile={"true": True, "false": False}.get(options.compile, options.compile),
    )
    if options.extras:
        params = params.model_copy(update={"augment_strength": 0.5, "dropout": 0.1, "ema_decay": 0.999})
    results = []
    with tempfile.TemporaryDirectory() as folder:
        index = make_shards(
            Path(folder),
            count=max(2000, 4 * options.global_batch) if device.type == "cuda" else 4 * options.global_batch,
            height_px=options.height_px,
            width_px=options.width_px,
            vocabulary=options.vocabulary,
        )
        for name in options.precisions:
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
            results.append(measure(index, params, options=options, precision=Precision(name=name, device=device)))
    what = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    peak = peak_flops(device, tflops=options.peak_tflops)
    return f"{what}, torch {torch.__version__}, {' '.join(arguments)}\n\n{table(results, peak=peak)}"


if __name__ == "__main__":
    print(main(sys.argv[1:]))

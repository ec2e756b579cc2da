"""What decoding a batch in parts of like length saves: `python -m benchmarks.studies.parts --shards data/shards`.

The same batches of the training split, lengths mixed, through forward and backward pass of a preset: their decoder
once over the whole batch and once over its parts (`latexify.trainer.data.label_parts`), in turns. The saving is the
median of the rounds.
"""

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.machine import in_a_line
from benchmarks.studies.gpu import make_tokenizer
from latexify.shards.format.index import open_split
from latexify.trainer.config import ModelParams, TrainParams
from latexify.trainer.data.batches import MicroBatch, open_loader
from latexify.trainer.data.label_parts import split_labels, whole_batch
from latexify.trainer.data.loader_processes import close_loader
from latexify.trainer.data.specs import Position
from latexify.trainer.loop.loss import TokenLoss
from latexify.trainer.loop.precision import Precision, choose_precision, fit_to_device
from latexify.trainer.model.model import make_model

VOCABULARY = 400
"""At least the ids of any tokenizer of LaTeX tokens."""
CPU = torch.device("cpu")


def load_batches(shards: Path, *, batch_size: int, count: int) -> list[MicroBatch]:
    """The first batches of the first epoch, with labels of all lengths in each, as models with batch norms get them."""
    params = TrainParams(global_batch=batch_size, micro_batch=batch_size, loader_workers=0)
    index = open_split(shards, "train")
    loader = iter(open_loader(index, params, seed=1, start=Position(), pin_memory=False, by_length=False))
    try:
        return [batch for batch in itertools.islice(loader, count) if isinstance(batch, MicroBatch)]
    finally:
        close_loader(loader)


def step_s(loss: TokenLoss, batches: Sequence[MicroBatch], *, precision: Precision, is_cut: bool) -> float:
    """Mean seconds of a forward and backward pass."""
    started = time.perf_counter()
    for batch in batches:
        parts = split_labels(batch.labels) if is_cut else [whole_batch(batch.labels)]
        with precision.autocast():
            value = loss(batch.pixels, parts)
        value.backward()
        loss.zero_grad()
    return (time.perf_counter() - started) / len(batches)


def compare(preset: str, batches: Sequence[MicroBatch], *, rounds: int, requested: str) -> str:
    """A row of the table. requested: the precision, or `auto`."""
    height_px, width_px = batches[0].pixels.shape[1:]
    model = make_model(
        ModelParams(base="scratch", preset=preset),
        tokenizer=make_tokenizer(VOCABULARY),
        height_px=height_px,
        width_px=width_px,
        dropout=0.1,
        seed=1,
    )
    precision = choose_precision(requested, device=CPU)
    fit_to_device(model, precision=precision)
    model.train()
    loss = TokenLoss(model)
    times = [
        [step_s(loss, batches, precision=precision, is_cut=is_cut) for is_cut in (False, True)]
        for _ in range(1 + rounds)  # the first warms up
    ][1:]
    whole, parts = (statistics.median(column) for column in zip(*times, strict=True))
    saved = statistics.median(1 - cut / uncut for uncut, cut in times)
    return f"| {preset}, {height_px}x{width_px} px, {precision.name} | {whole:.3f} | {parts:.3f} | {saved:.1%} |"


def main(arguments: list[str]) -> str:
    """Compare; returns the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--presets", nargs="+", default=["tiny", "small"])
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"])
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--batches", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    batches = load_batches(options.shards, batch_size=options.batch_size, count=options.batches)
    rows = [compare(preset, batches, rounds=options.rounds, requested=options.precision) for preset in options.presets]
    head = "| | whole batch, s a step | in parts, s a step | saved |\n|---|---:|---:|---:|\n"
    return f"{in_a_line()}\n\n{head}" + "\n".join(rows)


if __name__ == "__main__":
    print(main(sys.argv[1:]))

"""Training end to end: the baseline's loop and this project's, the same scratch model on the same inks, in turn.

The baseline's, as described: rendering in the loader, samples in random order, labels padded to the longest of the
batch with the pad id, which the loss counts, Hugging Face's own loss. Ours: shards, batches by length, the loss over
label tokens alone; in the number format that `train.precision: auto` chooses here, and in the baseline's, float32.
"""

import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from benchmarks.baselines.baseline import BaselineInks, make_processor
from benchmarks.bench.cores import Pools
from benchmarks.bench.measured import Job, Measured, Target, ratios, take_turns
from benchmarks.bench.stages import Workspace, shards_of
from latexify.common.errors import LatexifyError
from latexify.shards.format.index import open_split
from latexify.trainer.config import ModelParams, TrainParams
from latexify.trainer.data.batches import open_loader
from latexify.trainer.data.loader_processes import close_loader
from latexify.trainer.data.specs import Position
from latexify.trainer.loop.precision import choose_precision, fit_to_device
from latexify.trainer.loop.step import Stepper
from latexify.trainer.model.model import has_batch_norm, load_tokenizer, make_model

HEIGHT_PX, WIDTH_PX = 32, 128
BATCH = 32
WARM_UP_STEPS = 3


def time_baseline_loop(
    paths: Sequence[Path], *, tokenizer_folder: Path, workers: int, num_steps: int, seed: int
) -> dict[str, float]:
    """Samples per second of the baseline's loop, and the share of its time spent waiting for data, in percent."""
    model, tokenizer = _model(tokenizer_folder)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    inks = BaselineInks(paths, tokenizer=tokenizer, processor=make_processor(height_px=HEIGHT_PX, width_px=WIDTH_PX))
    generator = torch.Generator().manual_seed(seed)
    loader = DataLoader(
        inks,
        batch_size=BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        generator=generator,
        collate_fn=_collate,
    )
    batches = _endless(loader)
    wait_s, started = 0.0, 0.0
    for step in range(WARM_UP_STEPS + num_steps):
        if step == WARM_UP_STEPS:
            wait_s, started = 0.0, time.perf_counter()
        begin = time.perf_counter()
        pixels, labels = next(batches)
        wait_s += time.perf_counter() - begin
        loss = model(pixel_values=pixels, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return _result(num_steps, wait_s=wait_s, elapsed_s=time.perf_counter() - started)


def _endless(loader: DataLoader[Any]) -> Iterator[Any]:
    while True:
        yield from loader


def _collate(samples: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Stack; labels are cut after the longest of the batch, and keep the pad id (1) behind the shorter ones."""
    labels = torch.stack([ids for _, ids in samples])
    longest = int((labels != 1).sum(dim=1).max())
    return torch.stack([pixels for pixels, _ in samples]), labels[:, :longest]


def time_our_loop(  # noqa: PLR0913  # all but the first are named
    shards: Path, *, tokenizer_folder: Path, workers: int, num_steps: int, seed: int, format_name: str
) -> dict[str, float]:
    """Samples per second of this project's steps, and the share of their time spent waiting for data, in percent."""
    model, _ = _model(tokenizer_folder)
    params = TrainParams(global_batch=BATCH, micro_batch=BATCH, loader_workers=workers)
    precision = choose_precision(format_name, device=torch.device("cpu"))
    fit_to_device(model, precision=precision)
    stepper = Stepper(model, params, precision=precision, seed=seed)
    index = open_split(shards, "train")
    loader = open_loader(
        index, params, seed=seed, start=Position(), pin_memory=False, by_length=not has_batch_norm(model)
    )
    batches = iter(loader)
    wait_s, started = 0.0, 0.0
    try:
        for step in range(WARM_UP_STEPS + num_steps):
            if step == WARM_UP_STEPS:
                wait_s, started = 0.0, time.perf_counter()
            begin = time.perf_counter()
            batch = next(batches)
            wait_s += time.perf_counter() - begin
            if isinstance(batch, LatexifyError):
                raise batch
            stepper.step([batch], learning_rate=1e-4)
        elapsed_s = time.perf_counter() - started
    finally:
        close_loader(batches)
    return _result(num_steps, wait_s=wait_s, elapsed_s=elapsed_s)


def _model(tokenizer_folder: Path) -> tuple[Any, Any]:
    tokenizer = load_tokenizer(tokenizer_folder, producer="latexify vocab")
    model = make_model(
        ModelParams(base="scratch"), tokenizer=tokenizer, height_px=HEIGHT_PX, width_px=WIDTH_PX, dropout=0.0, seed=1
    )
    return model.train(), tokenizer


def _result(num_steps: int, *, wait_s: float, elapsed_s: float) -> dict[str, float]:
    return {"samples": num_steps * BATCH / elapsed_s, "waiting": 100 * wait_s / elapsed_s}


def run(  # noqa: PLR0913  # all but the first two are named
    workspace: Workspace, paths: Sequence[Path], *, inks: str, num_steps: int, repeats: int, pools: Pools
) -> tuple[list[Measured], list[Target]]:
    """Both loops, in turn, on all cores. inks: their name in the tables."""
    common = {"tokenizer_folder": workspace.data("tokenizer"), "num_steps": num_steps, "seed": 1}
    shards = shards_of(workspace, height_px=HEIGHT_PX, width_px=WIDTH_PX)
    theirs, ours = {"paths": paths, "workers": pools.cores, **common}, {"shards": shards, "workers": 1, **common}
    automatic = choose_precision("auto", device=torch.device("cpu")).name
    jobs = {"baseline": Job(pool=pools.theirs, call=time_baseline_loop, arguments=theirs)}
    for name in dict.fromkeys((automatic, "fp32")):
        arguments = {**ours, "format_name": name}
        jobs[f"latexify, {name}"] = Job(pool=pools.ours, call=time_our_loop, arguments=arguments)
    times = take_turns(jobs, repeats=repeats, title=f"training {inks}")
    measured = [
        Measured(part="training", name=f"{who}: {what}", inks=inks, cores=pools.cores, unit=unit, values=found[key])
        for who, found in times.items()
        for key, what, unit in (("samples", "trained", "inks/s"), ("waiting", "waiting for data", "%"))
    ]
    baseline_rates = times.pop("baseline")["samples"]
    targets = []
    for who, found in times.items():
        speed_up, waiting = (
            statistics.median(ratios(found["samples"], baseline_rates)),
            statistics.median(found["waiting"]),
        )
        titles = f"training against the baseline's loop ({who})", f"training: time waiting for data ({who})"
        targets += [
            Target(name=titles[0], value=speed_up, limit=2, unit="x", at_least=True, inks=inks),
            Target(name=titles[1], value=waiting, limit=2, unit="%", at_least=False, inks=inks),
        ]
    return measured, targets

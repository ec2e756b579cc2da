"""Compare the baseline, PNG files with a CSV, and this project: the same inks, in turn, on one core and on several."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.baselines import baseline, png_csv
from benchmarks.bench import stages, streams
from benchmarks.bench.cores import Pools
from benchmarks.bench.inks import RawInk, copies, write_files, write_tar
from benchmarks.bench.measured import Job, Measured, Target, ratios, summed_rate, take_turns
from benchmarks.bench.stages import SIDE_PX, Workspace

CANVASES = ((32, 128), (64, 256))
"""Height and width in pixels of the canvases that models from scratch are trained on."""
WARM_UP_INKS = 16

Times = dict[str, dict[str, list[float]]]


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much to measure.

    num_inks: what the baselines work on. num_copies: how often this project takes them, so that what it does once, and
    the end of a stage, when some workers wait for the last, do not count for much more than with a real dataset.
    """

    num_inks: int
    num_copies: int
    repeats: int


def prepare(folder: Path, inks: Sequence[RawInk], *, sizes: Sizes, cores: Executor) -> tuple[Workspace, list[Path]]:
    """Write the inks as an archive (for this project) and as files (for the baselines), and run all stages once."""
    workspace = Workspace(folder=folder)
    workspace.raw.mkdir(parents=True)
    write_tar(workspace.raw / "inks.tar", copies(inks, num_inks=len(inks) * sizes.num_copies))
    paths = write_files(folder / "files", inks)
    cores.submit(stages.run_source, workspace).result()
    cores.submit(stages.time_ingest, workspace, jobs=1).result()
    cores.submit(stages.run_vocab, workspace).result()
    for height_px, width_px in (*CANVASES, (SIDE_PX, SIDE_PX)):
        cores.submit(stages.time_rasterize, workspace, jobs=1, height_px=height_px, width_px=width_px).result()
    cores.submit(png_csv.write_all, paths, folder=folder / "png", jobs=1).result()
    return workspace, paths


def run(
    workspace: Workspace, paths: Sequence[Path], *, inks: str, sizes: Sizes, pools: Pools
) -> tuple[list[Measured], list[Target]]:
    """Measure everything. inks: their name in the tables."""
    cores = pools.cores
    jobs = _jobs(workspace, paths, sizes=sizes, ours=pools.one, theirs=pools.one, cores=1)
    if cores > 1:
        jobs |= _jobs(workspace, paths, sizes=sizes, ours=pools.ours, theirs=pools.theirs, cores=cores)
    jobs |= _single_core_jobs(workspace, paths, sizes=sizes, pool=pools.one)
    times = take_turns(jobs, repeats=sizes.repeats, title=f"compare {inks}")
    measured = [
        Measured(part="compare", name=name, inks=inks, cores=number, unit="inks/s", values=values)
        for number in sorted({1, cores})
        for name, values in _rates(times, cores=number).items()
    ]
    return measured, _targets(times, inks=inks, cores=cores)


def _jobs(  # noqa: PLR0913  # all but the first two are named
    workspace: Workspace, paths: Sequence[Path], *, sizes: Sizes, ours: Executor, theirs: Executor, cores: int
) -> dict[str, Job]:
    """What is measured on any number of cores."""
    tokenizer = {"tokenizer_folder": workspace.data("tokenizer")}
    workers = 0 if cores == 1 else cores
    few = {"paths": list(paths[:WARM_UP_INKS])}
    png = workspace.folder / f"png-{cores}"
    num_batches = streams.enough_batches(sizes.num_inks * sizes.num_copies)
    stream = {"shards": stages.shards_of(workspace), "workers": workers, "num_batches": num_batches}
    calls = {
        "baseline loader": Job(
            pool=theirs,
            call=baseline.time_loader,
            arguments={"paths": paths, "workers": workers, **tokenizer},
            warm=few,
        ),
        "png write": Job(pool=theirs, call=png_csv.write_all, arguments={"paths": paths, "folder": png, "jobs": cores}),
        "png loader": Job(
            pool=theirs, call=png_csv.time_loader, arguments={"folder": png, "workers": workers, **tokenizer}
        ),
        "stages": Job(pool=ours, call=stages.time_stages, arguments={"workspace": workspace, "jobs": cores}),
        "stream uint8": Job(pool=ours, call=streams.time_stream, arguments={**stream, "to_float": False}),
        "stream float": Job(pool=ours, call=streams.time_stream, arguments={**stream, "to_float": True}),
    }
    return {f"{name} {cores}": job for name, job in calls.items()}


def _single_core_jobs(workspace: Workspace, paths: Sequence[Path], *, sizes: Sizes, pool: Executor) -> dict[str, Job]:
    few = {"paths": list(paths[:WARM_UP_INKS])}
    jobs = {
        "baseline steps 1": Job(pool=pool, call=baseline.time_steps, arguments={"paths": paths}, warm=few),
        "decoding 1": Job(
            pool=pool,
            call=streams.time_decoding,
            arguments={"shards": stages.shards_of(workspace), "num_samples": sizes.num_inks * 2},
        ),
    }
    for height_px, width_px in CANVASES:
        canvas = {"workspace": workspace, "jobs": 1, "height_px": height_px, "width_px": width_px}
        jobs[f"rasterize {height_px}x{width_px} 1"] = Job(pool=pool, call=stages.time_rasterize, arguments=canvas)
    return jobs


def _rates(times: Times, *, cores: int) -> dict[str, list[float]]:
    """Rows of the table: inks per second on this number of cores."""
    stages = times[f"stages {cores}"]
    rates = {
        "baseline: parse + draw + resize": summed_rate(*_baseline_steps(times)) if cores == 1 else None,
        "baseline: data loader": times[f"baseline loader {cores}"]["loader"],
        "PNG files + CSV: write": times[f"png write {cores}"]["write"],
        "PNG files + CSV: data loader": times[f"png loader {cores}"]["loader"],
        "latexify: ingest": stages["ingest"],
        f"latexify: rasterize {SIDE_PX}x{SIDE_PX}": stages["rasterize"],
        f"latexify: ingest + rasterize {SIDE_PX}x{SIDE_PX}": summed_rate(stages["ingest"], stages["rasterize"]),
        "latexify: stream, uint8": times[f"stream uint8 {cores}"]["stream"],
        "latexify: stream, float32": times[f"stream float {cores}"]["stream"],
    }
    if cores == 1:
        rates |= {
            f"latexify: rasterize {height_px}x{width_px}": times[f"rasterize {height_px}x{width_px} 1"]["rasterize"]
            for height_px, width_px in CANVASES
        }
        rates |= {f"bare PNG decoding by {name}": values for name, values in times["decoding 1"].items()}
    return {name: values for name, values in rates.items() if values}


def _baseline_steps(times: Times) -> list[list[float]]:
    return [times["baseline steps 1"][step] for step in ("parse", "draw", "resize")]


def _targets(times: Times, *, inks: str, cores: int) -> list[Target]:
    rates, several = _rates(times, cores=1), _rates(times, cores=cores)
    loading = rates["baseline: data loader"]
    whole = f"latexify: ingest + rasterize {SIDE_PX}x{SIDE_PX}"
    redrawn = rates[f"latexify: rasterize {SIDE_PX}x{SIDE_PX}"]
    decoding = [max(pair) for pair in zip(*times["decoding 1"].values(), strict=True)]
    found = [
        ("ingest + rasterize against the baseline's loader", ratios(rates[whole], loading), 10, "x"),
        ("rasterize from Parquet against the same", ratios(redrawn, loading), 15, "x"),
        (
            "stream to batches against the baseline's loader",
            ratios(rates["latexify: stream, uint8"], loading),
            30,
            "x",
        ),
        (
            "the same, with the conversion to float32 on this core",
            ratios(rates["latexify: stream, float32"], loading),
            30,
            "x",
        ),
        (
            "stream to batches against bare PNG decoding (the faster decoder)",
            ratios(rates["latexify: stream, uint8"], decoding),
            0.7,
            "share",
        ),
    ]
    if cores > 1:
        efficiency = [rate / cores for rate in ratios(several[whole], rates[whole])]
        found.append((f"parallel efficiency of ingest + rasterize on {cores} cores", efficiency, 0.9, "share"))
    return [_target(name, values, limit, unit, inks=inks) for name, values, limit, unit in found]


def _target(name: str, values: list[float], limit: float, unit: str, *, inks: str) -> Target:
    median = Measured(part="compare", name=name, unit=unit, values=values).median
    return Target(name=name, value=median, limit=limit, unit=unit, at_least=True, inks=inks)

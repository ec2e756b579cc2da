"""Results as Markdown: from the JSON file alone."""

from collections.abc import Mapping
from typing import Any

from benchmarks.bench.measured import Target
from benchmarks.bench.tables import heading, number, target_table

BEGIN, END = "<!-- make bench-mathwriting: begin -->", "<!-- make bench-mathwriting: end -->"
"""What stands between these lines of docs/log/performance.md is written by `make bench-mathwriting`."""

TITLES = {
    "source": "source (hash of the archive)",
    "stream": "stream (a training's first batch)",
    "predict": "predict (greedy)",
    "score": "score (intervals, typesetting)",
}


def markdown(results: Mapping[str, Any]) -> str:
    """The whole report of one run."""
    targets = [Target(**row) for row in results["targets"]]
    blocks = [heading(results), _archive(results), target_table(targets), _stages(results), _steps(results)]
    return "\n\n".join([*blocks, _binding(results)]) + "\n"


def _archive(results: Mapping[str, Any]) -> str:
    made, inks, shards = results["archive"], results["inks"], results["shards"]
    folders = ", ".join(f"{name} {count:,}" for name, count in made["counts"].items())
    rows, rejected = inks["rows"], ", ".join(f"{why} {count:,}" for why, count in inks["rejected"].items())
    samples = ", ".join(f"{name} {count:,}" for name, count in shards["samples"].items())
    return (
        f"Archive: {made['inks']:,} inks ({folders}), {made['bytes'] / 1e9:.2f} GB, unpacked "
        f"{made['unpacked_bytes'] / 1e9:.2f} GB, made in {number(made['seconds'])} s. Inks: "
        f"{', '.join(f'{name} {count:,}' for name, count in rows.items())}; rejected: {rejected or 'none'}. "
        f"Samples: {samples}, {shards['mean_tokens']:.1f} tokens on average."
    )


def _stages(results: Mapping[str, Any]) -> str:
    lines = [
        "| stage | time | main process | largest worker | CPU time, main | CPU time, workers | output | files |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in results["stages"]:
        name = TITLES.get(row["stage"], row["stage"])
        if row["stage"] == "train":
            name += f" ({results['amount']['train_steps']} steps)"
        worker = f"{row['worker_mib']:.0f} MiB" if row["worker_mib"] else ""
        size = f"{number(row['num_bytes'] / 1e6)} MB" if row["num_files"] else ""
        files = f"{row['num_files']:,}" if row["num_files"] else ""
        cpu = [f"{number(row[key])} s" if row[key] else "" for key in ("main_cpu_s", "workers_cpu_s")]
        cells = [f"{number(row['seconds'])} s", f"{row['main_mib']:.0f} MiB", worker, *cpu, size, files]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _steps(results: Mapping[str, Any]) -> str:
    lines = ["| step, as the main process sees it | time |", "|---|---:|"]
    for row in results["stages"]:
        lines += [f"| {row['stage']}: {name} | {number(value)} s |" for name, value in row["steps"].items()]
    return "\n".join(lines)


def _binding(results: Mapping[str, Any]) -> str:
    """How many cores a stage can use before its main process is what takes longest."""
    num_inks = results["archive"]["inks"]
    lines = ["| stage | the main process keeps up with | which is the work of |", "|---|---:|---:|"]
    for row in results["stages"]:
        if row["stage"].partition(" ")[0] in {"ingest", "rasterize"}:
            cores = row["workers_cpu_s"] / row["main_cpu_s"]
            rate = num_inks / row["main_cpu_s"]
            lines.append(f"| {row['stage']} | {number(rate)} inks/s | {number(cores)} workers |")
    return "\n".join(lines)
